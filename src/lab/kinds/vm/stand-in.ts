// SPDX-License-Identifier: MIT
import { connect } from "node:net";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../../../errors/index.js";
import { errno, errnoText } from "../../../linux/index.js";
import type { Agent, GuestExit, Streams } from "../../../vm/index.js";
import { shown } from "../../shown.js";
import type { Argv, Ending, Environment } from "../kind.js";
import { type GuestFiles, readRecord } from "./files.js";

const DEATH_MS = 1500;
const LOOK_MS = 1000;
/** Of these a guest has its own, and not the host's. */
const OWN_FOLDERS = /^\/(run|dev|proc|sys)(\/|$)/;

/** Where a command is to run. */
export interface GuestPlace {
  /** Of the machine or the lab whose guest it is, for messages. */
  readonly name: string;
  readonly files: GuestFiles;
  /** A folder of the guest with the namespaces of a machine there. */
  readonly namespaces?: string;
}

/** The working directory as far as a guest has it. */
function guestDirectory(): string {
  const cwd = process.cwd();
  return OWN_FOLDERS.test(cwd) ? "/" : cwd;
}

/** Calls `body` with the agent of a guest. Errors: XDPCTL_E_VM_DIED and others, with why the guest is gone. */
export async function withAgent<T>(place: GuestPlace, body: (agent: Agent) => Promise<T>): Promise<T> {
  // The guest's supervisor takes the connection while we load what talks to it.
  const socket = connect(place.files.agent);
  socket.on("error", () => undefined);
  const { Agent } = await import("../../../vm/index.js");
  const agent = new Agent(socket);
  try {
    return await body(agent);
  } catch (error) {
    throw XdpctlError.is(error, "XDPCTL_E_VM_DIED") ? await lost(place) : error;
  } finally {
    agent.close();
  }
}

/** Stands for a command in a guest, with this process's streams, signals and window, to its end. */
export function standIn(place: GuestPlace, argv: Argv, env: Environment, cwd = guestDirectory()): Promise<Ending> {
  return withAgent(place, async (agent) => {
    const { terminalOf, tie } = await import("../../../vm/index.js");
    const { namespaces } = place;
    const terminal = terminalOf();
    let streams: Streams | undefined;
    let look: NodeJS.Timeout | undefined;
    try {
      const command = agent.exec({
        argv,
        cwd,
        env,
        ...(namespaces === undefined ? {} : { namespaces }),
        ...(terminal === undefined ? {} : { terminal }),
      });
      const gaveUp = new Promise<"gave up">((resolve) => {
        streams = tie(command, terminal, () => resolve("gave up"));
      });
      const hung = new Promise<never>((_, reject) => {
        look = setInterval(() => {
          const { hang } = readRecord(place.files.record) ?? {};
          if (hang !== undefined) reject(new XdpctlError("XDPCTL_E_VM_HANG", `${place.name}: ${hang}`));
        }, LOOK_MS);
      });
      const exit = await Promise.race([command.exit, gaveUp, hung]);
      if (exit === "gave up") return { signal: "SIGKILL" };
      const complete = await Promise.race([streams?.done, gaveUp]);
      const ending = endingOf(place, argv, exit);
      return complete === false && "code" in ending && ending.code === 0 ? { code: 1 } : ending;
    } finally {
      clearInterval(look);
      streams?.restore();
    }
  });
}

export function endingOf({ name }: GuestPlace, [file]: Argv, exit: GuestExit): Ending {
  if (exit.kind === "status") return { code: exit.status };
  if (exit.kind === "signal") {
    const found = Object.entries(constants.signals).find(([, number]) => number === exit.signal);
    return found === undefined ? { code: 128 + exit.signal } : { signal: found[0] as NodeJS.Signals };
  }
  if (exit.errno === errno.ENOENT && exit.what === "") {
    throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no command ${shown(file)}`, {
      remedy: "install it, or give its path",
    });
  }
  const what = exit.what === "" ? `starting ${file}` : exit.what;
  throw new XdpctlError("XDPCTL_E_NO_FILE", `in the guest of ${name}: ${what}: ${errnoText(exit.errno)}`);
}

/** Why a guest can't be reached: its supervisor knows, a moment later. */
async function lost({ name, files }: GuestPlace): Promise<XdpctlError> {
  for (const deadline = Date.now() + DEATH_MS; Date.now() < deadline; await pause(20)) {
    const error = readRecord(files.record)?.error;
    if (error !== undefined) return XdpctlError.from({ ...error, message: `${name}: ${error.message}` });
  }
  return new XdpctlError("XDPCTL_E_VM_DIED", `the guest of ${name} is gone`, {
    remedy: "`xdpctl lab deploy` starts it again",
  });
}
