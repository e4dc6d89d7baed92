// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../errors/index.js";

/** Compiled by scripts/build-agent: beside dist/, or above src/. */
function compiled(name: string): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const up of ["..", "../.."]) {
    const path = join(here, up, "build/agent", name);
    if (existsSync(path)) return path;
  }
  throw new XdpctlError("XDPCTL_E_NO_FILE", `build/agent/${name} is missing`, { remedy: "run `scripts/build-agent`" });
}

/** The program that runs in guests. */
export function agentPath(): string {
  return compiled("agent");
}

/** The folder of this package. */
export function packageRoot(): string {
  return resolve(agentPath(), "../../..");
}

/** The program that starts QEMU and virtiofsd. */
export function launchPath(): string {
  return compiled("launch");
}
