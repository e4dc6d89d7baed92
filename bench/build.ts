// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";

const OUT = "build/bench";

function isFresh(output: string, source: string): boolean {
  const made = statSync(output, { throwIfNoEntry: false });
  return made !== undefined && made.mtimeMs > statSync(source).mtimeMs;
}

function compile(output: string, source: string, command: string, args: readonly string[]): string {
  mkdirSync(OUT, { recursive: true });
  if (isFresh(output, source)) return output;
  const result = spawnSync(command, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr || result.error?.message}`);
  return output;
}

/** Compiles bench/c/NAME.c with gcc -O2; returns the program's path. */
export function cProgram(name: string, libraries: readonly string[] = ["bpf"]): string {
  const source = `bench/c/${name}.c`;
  const output = `${OUT}/${name}`;
  return compile(output, source, "gcc", [
    "-O2",
    "-Wall",
    "-Wextra",
    "-o",
    output,
    source,
    ...libraries.map((one) => `-l${one}`),
  ]);
}

/** Compiles bench/c/NAME.c as a shared library. */
export function cLibrary(name: string): void {
  const source = `bench/c/${name}.c`;
  const output = `${OUT}/${name}.so`;
  compile(output, source, "gcc", ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", output, source]);
}

/** Compiles bench/bpf/NAME.bpf.c; returns the object's path. */
export function bpfObject(name: string): string {
  const source = `bench/bpf/${name}.bpf.c`;
  const output = `${OUT}/${name}.bpf.o`;
  const headers = `/usr/include/${process.arch === "x64" ? "x86_64" : "aarch64"}-linux-gnu`;
  const flags = ["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-I", headers];
  return compile(output, source, "clang", [...flags, "-c", source, "-o", output]);
}
