// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../errors/index.js";

let found: string | undefined;

/** The bundled worker: beside this bundle, or in dist/ when this runs from src/. Throws XDPCTL_E_INTERNAL. */
export function workerPath(): string {
  found ??= ["./policy-worker.js", "../policy-worker.js", "../../dist/policy-worker.js"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw new XdpctlError("XDPCTL_E_INTERNAL", "dist/policy-worker.js is missing", { remedy: "run `npm run build`" });
  return found;
}
