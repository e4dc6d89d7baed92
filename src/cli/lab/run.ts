// SPDX-License-Identifier: MIT
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";
import type { Command } from "commander";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { exampleText, usage } from "../command.js";
import type { Context } from "../context.js";
import { unlessEnded } from "../interrupted.js";
import { openRoom, ownCommand, waiting } from "./select.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const GRACE_MS = 5000;

interface RunOptions {
  repl?: string;
  name?: string;
  json?: boolean;
}

export function registerRun(lab: Command, context: Context): void {
  lab
    .command("run <file>")
    .description("bring a lab up for as long as this command runs; with `--repl`, the prompt of one of its machines")
    .option("-r, --repl <node>", "open the REPL in this machine; leaving it takes the lab down")
    .option("-n, --name <name>", "deploy under another name than the file's")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl lab run labs/xdp.lab.yml --repl xdp", "what `npm start` does"],
        [
          "xdpctl lab run labs/xdp.lab.yml --repl xdp < commands.txt",
          "a script: its exit status is that of the first line that fails",
        ],
        ["xdpctl lab run labs/pair.lab.yml", "until Ctrl-C"],
      ]),
    )
    .action(async (file: string, options: RunOptions) => {
      process.exitCode = await run(file, options, context);
    });
}

/** Exit status of a child as a shell gives it. */
export function statusOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 1 : constants.signals[signal]);
}

async function run(file: string, options: RunOptions, context: Context): Promise<number> {
  const { terminal } = context;
  const room = await openRoom();
  const spec = room.readLab(file);
  const names = spec.nodes.map((node) => node.name);
  if (options.repl !== undefined && !names.includes(options.repl)) {
    const hint = didYouMean(options.repl, names) || `: there are ${names.join(", ")}`;
    throw new XdpctlError("XDPCTL_E_NO_NODE", `${file} has no machine ${options.repl}${hint}`);
  }
  if (spec.nodes.some((node) => node.name === options.repl && node.kind === "container")) {
    throw usage("the REPL can't run in a container: it has neither Node nor xdpctl", "name a machine of namespaces");
  }
  const stop = new Stopper();
  const start = performance.now();
  const made = await unlessEnded(context, () =>
    room.bringUp(spec, {
      ...waiting(context),
      tied: true,
      ...(options.name === undefined ? {} : { name: options.name }),
    }),
  ).catch((error: unknown) => {
    stop.close();
    throw error;
  });
  if (made === undefined) {
    stop.close();
    return await stop.requested;
  }
  try {
    const ms = Math.round(performance.now() - start);
    const way = options.repl === undefined ? "Ctrl-C takes it down" : "leaving takes it down";
    terminal.note(`lab ${made.name} is up: ${made.nodes.join(", ")} (${ms} ms); ${way}`);
    if (options.repl === undefined) return await stop.requested;
    const json = options.json === true ? ["--json"] : [];
    const child = made.spawn(options.repl, ownCommand("repl", ...json), {
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    serveLab(child, made.name);
    stop.forwardTo(child);
    return await ended(child);
  } finally {
    stop.close();
    // The REPL may have been asked to take its own lab down.
    if (room.list().some((one) => one.name === made.name)) made.destroy();
  }
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(statusOf(code, signal)));
  });
}

/** Answers `{ lab: args }` of the REPL by running that command here, where the lab is. */
function serveLab(repl: ChildProcess, lab: string): void {
  repl.on("message", (message: unknown) => {
    const { lab: args } = (message ?? {}) as { lab?: unknown };
    if (!Array.isArray(args) || !args.every((word): word is string => typeof word === "string")) return;
    const reply = (code: number): void => {
      if (repl.connected) repl.send({ code }, () => {});
    };
    const [command, ...rest] = ownCommand("lab", ...args);
    const child = spawn(command, rest, {
      // A script's standard input holds the lines that come next.
      stdio: [isatty(0) ? "inherit" : "ignore", "inherit", "inherit"],
      env: { ...process.env, XDPCTL_LAB: lab },
    });
    ended(child).then(reply, () => reply(1));
  });
}

/** Ends by signal: the child is told and waited for, then the lab is taken down. */
class Stopper {
  readonly requested: Promise<number>;
  #resolve: (code: number) => void = () => {};
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  // Without a handle of its own, Node would end while only signals are waited for.
  readonly #keep = setInterval(() => {}, 2 ** 30);

  constructor() {
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  readonly #onSignal = (name: NodeJS.Signals): void => {
    this.#resolve(128 + constants.signals[name]);
    if (this.#child === undefined) return;
    // A terminal sends Ctrl-C to the REPL as well, where it stops a command and not the REPL.
    if (name === "SIGINT" && isatty(0)) return;
    this.#child.kill(name);
    this.#timer ??= setTimeout(() => this.#child?.kill("SIGKILL"), GRACE_MS);
  };

  forwardTo(child: ChildProcess): void {
    this.#child = child;
  }

  close(): void {
    clearInterval(this.#keep);
    clearTimeout(this.#timer);
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}
