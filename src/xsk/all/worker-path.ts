// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../../errors/index.js";

let found: string | undefined;

/** The bundled worker: beside this bundle, or in dist/ when this runs from src/. Throws XDPCTL_E_INTERNAL. */
export function workerPath(): string {
  found ??= ["./xsk-worker.js", "../../dist/xsk-worker.js", "../../../dist/xsk-worker.js"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw new XdpctlError("XDPCTL_E_INTERNAL", "dist/xsk-worker.js is missing", { remedy: "run `npm run build`" });
  return found;
}
