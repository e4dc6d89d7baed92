// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { packageRoot } from "../../paths.js";
import { isRunning } from "../../processes.js";
import type { ProcessMark } from "../../state.js";
import { type GuestFiles, readRecord, removeSockets, writeJson } from "./files.js";

/** How often a guest is started, where the emulated processor is what fails. */
export const MOST_BOOTS = 3;

/**
 * Starts a supervisor, which outlives this process, with what a guest before it left swept away; `verb` is the command of
 * `lab` that it runs, and `around` starts it where it is to be. Returns its process id.
 */
export function startSupervisor(
  files: GuestFiles,
  plan: unknown,
  verb: string,
  around: (start: () => ChildProcess) => ChildProcess = (start) => start(),
): number {
  for (const path of [files.record, files.log, files.console, files.dmesg, files.agent, join(files.dir, "s")]) {
    rmSync(path, { recursive: true, force: true });
  }
  rmSync(join(files.dir, "qemu.log"), { force: true });
  removeSockets(files.dir);
  mkdirSync(join(files.dir, "s"), { mode: 0o700 });
  writeJson(files.plan, plan);
  const argv = [join(packageRoot(), "bin", "xdpctl.cjs"), "lab", verb, files.plan];
  const { XDPCTL_LAB: _lab, XDPCTL_NODE: _node, ...env } = process.env;
  const log = openSync(files.log, "a");
  try {
    const child = around(() =>
      spawn(process.execPath, argv, { env, cwd: "/", stdio: ["ignore", log, log], detached: true }),
    );
    child.on("error", () => undefined);
    child.unref();
    return child.pid ?? 0;
  } finally {
    closeSync(log);
  }
}

/** True once the guest of `name` is ready. Throws what its supervisor says when it failed. */
export function isGuestReady(name: string, files: GuestFiles, supervisor: ProcessMark | undefined): boolean {
  const record = readRecord(files.record);
  if (record?.phase === "ready") return true;
  if (record?.error !== undefined) {
    const { message, ...rest } = record.error;
    throw XdpctlError.from({ ...rest, message: `${name}: ${message}` });
  }
  if (!isRunning(supervisor)) {
    throw new XdpctlError("XDPCTL_E_VM_DIED", `${name}: its supervisor ended before the guest was there`, {
      lines: tail(files.log),
    });
  }
  return false;
}

/** Why a guest is not there any more; undefined while it is. */
export function guestEnd(files: GuestFiles, supervisor: ProcessMark | undefined): XdpctlError | undefined {
  const error = readRecord(files.record)?.error;
  if (error !== undefined) return XdpctlError.from(error);
  if (isRunning(supervisor)) return undefined;
  const text = "its guest is gone, and its supervisor with it";
  return new XdpctlError("XDPCTL_E_VM_DIED", text, { lines: lastWords(files) });
}

/**
 * Why nothing can be done in a guest, with a code and lines that say more; `gdb` is the command that shows where one is of
 * which nothing is heard.
 */
export function guestTrouble(
  files: GuestFiles,
  supervisor: ProcessMark | undefined,
  gdb: string,
): XdpctlError | undefined {
  const end = guestEnd(files, supervisor);
  if (end !== undefined) return end;
  const record = readRecord(files.record);
  if (record?.hang !== undefined) {
    return new XdpctlError("XDPCTL_E_VM_HANG", record.hang, { remedy: `\`${gdb}\` shows where it is` });
  }
  return record?.phase === "ready" ? undefined : new XdpctlError("XDPCTL_E_NO_NODE", "its guest is booting");
}

/** The ends of what a guest and its supervisor said, where nobody wrote down why they ended. */
function lastWords({ console, log }: GuestFiles): string[] {
  return [...tail(log).map((line) => `supervisor: ${line}`), ...tail(console).map((line) => `console: ${line}`)];
}

/** What a terminal takes for itself: the ends of lines, and a shell's sequences. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
const NOT_TEXT = /\r|\x1b\[[0-9;?]*[A-Za-z]/g;

function tail(path: string): string[] {
  try {
    const text = readFileSync(path, "utf8").replace(NOT_TEXT, "").trimEnd();
    return text === "" ? [] : text.split("\n").slice(-8);
  } catch {
    return [];
  }
}
