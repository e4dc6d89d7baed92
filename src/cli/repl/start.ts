// SPDX-License-Identifier: MIT
import { isatty } from "node:tty";
import { Controller } from "../../control/index.js";
import { XdpctlError } from "../../errors/index.js";
import { Loop } from "../../loop/index.js";
import { type Backend, connect } from "../../rpc/index.js";
import { ConsoleTerminal } from "../console.js";
import { buildProgram } from "../execute.js";
import { VERSION } from "../version.js";
import { Display } from "./display.js";
import { Prompt } from "./interactive.js";
import { runScript } from "./script.js";
import { Session } from "./session.js";
import { Tick } from "./tick.js";
import { Via } from "./via.js";

const SIGNAL_CODE: Record<string, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** The controller of this namespace: our own, or the one that runs already. */
async function open(loop: Loop): Promise<{ backend: Backend; note?: string; close(): Promise<void> }> {
  try {
    const controller = await Controller.start({ kind: "repl", loop, version: VERSION });
    return { backend: controller, close: () => controller.close() };
  } catch (error) {
    if (!XdpctlError.is(error, "XDPCTL_E_CONTROLLER_RUNS")) throw error;
    const client = await connect();
    if (client === undefined) throw error;
    const note = `a controller runs already (pid ${client.peer.pid}): this is its client`;
    return { backend: client, note, close: async () => client.close() };
  }
}

export interface ReplOptions {
  json: boolean;
  /** The family of generic netlink through which Lua goes. */
  via?: string;
  /** A dot each second. */
  tick: boolean;
}

/** The REPL, on a terminal or as a script; resolves with the exit code when all that it started is gone. */
export async function startRepl({ json, via: family, tick: ticks }: ReplOptions): Promise<number> {
  const interactive = isatty(0);
  let report: (error: unknown) => void = () => {};
  const loop = new Loop({ onError: (error) => report(error) });
  const display = new Display(loop, interactive);
  const terminal = new ConsoleTerminal(display, json);
  report = (error) => void terminal.failure(error);
  const stopped = new AbortController();
  const via = new Via();
  const tick = new Tick(loop, () => display.dot());
  let prompt: Prompt | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (name === "SIGINT" && interactive) prompt?.interrupt();
    else stopped.abort(name);
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  display.onClosed = () => stopped.abort("EPIPE");
  try {
    // Before anything is taken: without the family there is no use in going on.
    if (family !== undefined) await via.start(family);
    const control = await open(loop);
    try {
      if (control.note !== undefined) terminal.note(control.note);
      const lend = interactive ? (body: () => Promise<number>) => prompt?.lend(body) ?? body() : undefined;
      const options = { backend: control.backend, loop, display, interactive, json, via, tick };
      const session = new Session(lend === undefined ? options : { ...options, lend });
      await session.listen();
      tick.on = ticks && !json;
      try {
        if (!interactive) {
          const code = await runScript(session, display, stopped.signal);
          return stopped.signal.aborted ? (SIGNAL_CODE[String(stopped.signal.reason)] ?? 0) : code;
        }
        const program = await buildProgram({
          kind: "repl",
          terminal,
          signal: stopped.signal,
          backend: () => Promise.resolve(control.backend),
          loop: () => Promise.resolve(loop),
          live: () => Promise.resolve(display.liveTarget(json)),
        });
        terminal.line(`xdpctl ${VERSION}: \`help\` lists the commands, Ctrl-D leaves`);
        prompt = new Prompt(
          display,
          () => session,
          () => ({ program, backend: control.backend }),
        );
        stopped.signal.addEventListener("abort", () => prompt?.leave());
        if (stopped.signal.aborted) prompt.leave();
        await prompt.run();
        return stopped.signal.aborted ? (SIGNAL_CODE[String(stopped.signal.reason)] ?? 0) : 0;
      } finally {
        tick.on = false;
        await session.close();
      }
    } finally {
      await control.close();
    }
  } catch (error) {
    return terminal.failure(error);
  } finally {
    via.stop();
    await display.settled();
    display.close();
    loop.close();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, onSignal);
  }
}
