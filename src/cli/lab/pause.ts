// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline/promises";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import type { Lab } from "../../lab/index.js";
import { failureLines } from "../failure.js";
import { tokenize } from "../repl/tokenize.js";
import { ownCommand } from "./select.js";

const COMMANDS: Record<string, string> = {
  "shell NODE": "a shell in a machine",
  "exec NODE COMMAND…": "a command in a machine",
  inspect: "interfaces, addresses, programs",
  tmux: "a pane for each of three machines",
  continue: "go on (an empty line does, too)",
  quit: "end the test: the rest is not run, and the lab is taken down",
};
const WORDS = Object.keys(COMMANDS).map((usage) => usage.split(" ")[0] ?? "");

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Halts a test with a prompt. Resolves to false when the rest is not to be run. */
export async function pause(where: string, lab: Lab, signal: AbortSignal): Promise<boolean> {
  say(`== PAUSING: ${where} ==`);
  say(`lab ${lab.name}: ${lab.nodes.join(", ")}; \`help\` lists the commands, Enter goes on`);
  let session = false;
  try {
    for (;;) {
      const line = await ask(signal);
      if (line === undefined) return false;
      const words = tokenize(line).tokens.map((token) => token.text);
      const [command = "continue", ...args] = words;
      if (command === "continue" || command === "c") return true;
      if (command === "quit" || command === "q" || command === "exit") return false;
      session ||= command === "tmux";
      try {
        await act(command, args, lab);
      } catch (error) {
        for (const text of failureLines(XdpctlError.wrap(error), process.stdout.columns)) say(text);
      }
    }
  } finally {
    // Its shells end with the lab; the pane outside of it would not.
    if (session) spawnSync("tmux", ["kill-session", "-t", `=${lab.name}`], { stdio: "ignore" });
  }
}

/** One line; undefined at the end of input, at Ctrl-C, and when the test is to end. */
async function ask(signal: AbortSignal): Promise<string | undefined> {
  // The terminal belongs to the commands in between.
  const input = createInterface({ input: process.stdin, output: process.stdout });
  const stop = new AbortController();
  const end = (): void => stop.abort();
  input.once("SIGINT", end).once("close", end);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await input.question("pause> ", { signal: stop.signal });
  } catch {
    say("");
    return undefined;
  } finally {
    signal.removeEventListener("abort", end);
    input.close();
  }
}

async function act(command: string, args: readonly string[], lab: Lab): Promise<void> {
  const [node, ...argv] = args;
  const inherit = { stdio: "inherit" } as const;
  switch (command) {
    case "help":
      for (const [usage, what] of Object.entries(COMMANDS)) say(`  ${usage.padEnd(20)}  ${what}`);
      return;
    case "shell":
      if (node === undefined) return say(`which machine? ${lab.nodes.join(", ")}`);
      return ended(lab.spawn(node, lab.shellCommand(node, true), inherit));
    case "exec": {
      const [file, ...rest] = argv[0] === "--" ? argv.slice(1) : argv;
      if (node === undefined || file === undefined) return say("`exec NODE COMMAND…`");
      return ended(lab.spawn(node, [file, ...rest], inherit));
    }
    case "inspect":
    case "tmux": {
      const args = command === "tmux" ? ["tmux", "--session", lab.name] : ["inspect", lab.name];
      const [file, ...rest] = ownCommand("lab", ...args);
      return ended(spawn(file, rest, inherit));
    }
    default:
      return say(`unknown command ${JSON.stringify(command)}${didYouMean(command, WORDS) || "; `help` lists them"}`);
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      const gone = error.code === "ENOENT";
      reject(gone ? new XdpctlError("XDPCTL_E_NO_FILE", `there is no command \`${child.spawnfile}\``) : error);
    });
    child.once("exit", (code, signal) => {
      if (code !== 0) say(signal === null ? `(exit status ${code})` : `(${signal})`);
      resolve();
    });
  });
}
