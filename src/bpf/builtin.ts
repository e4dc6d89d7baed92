// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../errors/index.js";

export const BUILTIN_PROGRAMS = ["pass", "drop", "guard"] as const;

/** The file of a program that comes with xdpctl. Throws XDPCTL_E_NO_OBJECT when it was not built. */
export function builtinPath(name: string): string {
  const candidates = ["../build/bpf", "../../build/bpf"].map((relative) =>
    fileURLToPath(new URL(`${relative}/${name}.bpf.o`, import.meta.url)),
  );
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) {
    throw new XdpctlError("XDPCTL_E_NO_OBJECT", `the built-in program ${name} was not compiled`, {
      remedy: "run scripts/build-bpf",
    });
  }
  return found;
}

export function isBuiltin(name: string): boolean {
  return (BUILTIN_PROGRAMS as readonly string[]).includes(name);
}
