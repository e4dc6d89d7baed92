// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../../../errors/index.js";
import { errno, errnoText } from "../../../linux/index.js";
import type { GuestExit, Streams } from "../../../vm/index.js";
import { binDir, packageRoot } from "../../paths.js";
import { shown } from "../../shown.js";
import type { Argv, Ending, Environment, Place, SpawnOptions } from "../kind.js";
import { guestFiles, readRecord, STANDARD_PATH } from "./files.js";

const DEATH_MS = 1500;

export function guestEnvironment({ state, node }: Place, base: Environment): Environment {
  const path = `${binDir(state.name)}:${base.PATH ?? STANDARD_PATH}`;
  return { ...base, ...node.env, XDPCTL_LAB: state.name, XDPCTL_NODE: node.name, PATH: path };
}

/** Starts the command that stands for one in the guest. */
export function spawnInGuest({ state, node }: Place, argv: Argv, options: SpawnOptions): ChildProcess {
  const { stdio = "pipe", detached = false, cwd = process.cwd(), env: more } = options;
  const { XDPCTL_NODE: _, ...outside } = process.env;
  const words = [join(packageRoot(), "bin", "xdpctl.cjs"), "lab", "exec", "--lab", state.name, node.name, "--"];
  return spawn(process.execPath, [...words, ...argv], { env: { ...outside, ...more }, cwd, stdio, detached });
}

/** Stands for a command in the guest, with this process's streams, signals and window, to its end. */
export async function standInGuest(at: Place, argv: Argv, env: Environment): Promise<Ending> {
  const { Agent, terminalOf, tie } = await import("../../../vm/index.js");
  const agent = new Agent(connect(guestFiles(at.state.name, at.node.name).agent));
  const terminal = terminalOf();
  const cwd = process.cwd();
  let streams: Streams | undefined;
  try {
    const command = agent.exec({
      argv,
      cwd: OWN_FOLDERS.test(cwd) ? "/" : cwd,
      env: { ...guestEnvironment(at, process.env), ...env },
      ...(terminal === undefined ? {} : { terminal }),
    });
    const gaveUp = new Promise<"gave up">((resolve) => {
      streams = tie(command, terminal, () => resolve("gave up"));
    });
    const exit = await Promise.race([command.exit, gaveUp]);
    if (exit === "gave up") return { signal: "SIGKILL" };
    await streams?.done;
    return endingOf(at, argv, exit);
  } catch (error) {
    throw XdpctlError.is(error, "XDPCTL_E_VM_DIED") ? await lost(at) : error;
  } finally {
    streams?.restore();
    agent.close();
  }
}

/** Of these a guest has its own, and not the host's. */
const OWN_FOLDERS = /^\/(run|dev|proc|sys)(\/|$)/;

function endingOf({ node }: Place, [name]: Argv, exit: GuestExit): Ending {
  if (exit.kind === "status") return { code: exit.status };
  if (exit.kind === "signal") {
    const found = Object.entries(constants.signals).find(([, number]) => number === exit.signal);
    return found === undefined ? { code: 128 + exit.signal } : { signal: found[0] as NodeJS.Signals };
  }
  if (exit.errno === errno.ENOENT && exit.what === "") {
    throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no command ${shown(name)}`, {
      remedy: "install it, or give its path",
    });
  }
  const what = exit.what === "" ? `starting ${name}` : exit.what;
  throw new XdpctlError("XDPCTL_E_NO_FILE", `in the guest of ${node.name}: ${what}: ${errnoText(exit.errno)}`);
}

/** Why a guest can't be reached: its supervisor knows, a moment later. */
async function lost(at: Place): Promise<XdpctlError> {
  const { record } = guestFiles(at.state.name, at.node.name);
  for (const deadline = Date.now() + DEATH_MS; Date.now() < deadline; await pause(20)) {
    const error = readRecord(record)?.error;
    if (error !== undefined) return XdpctlError.from({ ...error, message: `${at.node.name}: ${error.message}` });
  }
  return new XdpctlError("XDPCTL_E_VM_DIED", `the guest of ${at.node.name} is gone`, {
    remedy: "`xdpctl lab deploy` starts it again",
  });
}
