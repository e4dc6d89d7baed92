// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../errors/index.js";
import type { ObjectSpec } from "./object.js";

const LIMIT_MS = 10_000;

/** The program that opens an object in a process of its own; beside the bundle, or in `dist/` when run from the source. */
function probePath(): string | undefined {
  return ["./probe.js", "../../dist/probe.js"]
    .map((relative) => fileURLToPath(new URL(relative, import.meta.url)))
    .find((path) => existsSync(path));
}

/**
 * Opens an object in a child first: libbpf 1.1 crashes on about one in fifty damaged files. Throws XDPCTL_E_BAD_OBJECT
 * with libbpf's own words when the child can't open it, or dies.
 */
export async function probeObject(spec: ObjectSpec): Promise<void> {
  const path = probePath();
  if (path === undefined) return;
  const child = spawn(process.execPath, [path], {
    stdio: ["pipe", "pipe", "ignore"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(0, 4096);
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(spec.bytes);
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  if (code === 0) return;
  const why =
    code === null ? `libbpf crashes on it (${signal})` : output.trim() || `libbpf can't open it (status ${code})`;
  throw new XdpctlError("XDPCTL_E_BAD_OBJECT", `${spec.name} is damaged: ${why}`);
}
