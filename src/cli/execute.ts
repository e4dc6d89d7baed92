// SPDX-License-Identifier: MIT
import { type Command, CommanderError } from "commander";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { exampleText, root } from "./command.js";
import { COMMANDS } from "./commands/index.js";
import { ReaderGone } from "./console.js";
import type { Context } from "./context.js";

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** The commands as commander knows them: only `name`, or all of them; of its own commands perhaps only `verb`. */
export async function buildProgram(context: Context, name?: string, verb?: string): Promise<Command> {
  const program = root((text) => context.terminal.raw(text));
  program.option("-V, --version", "print the version");
  program.hook("preAction", (_, command) => {
    if ((command.opts() as { json?: boolean }).json === true) context.terminal.jsonMode = true;
  });
  for (const [key, load] of Object.entries(COMMANDS)) {
    if (name === undefined || key === name) await (await load())(program, context, verb);
  }
  return program;
}

/** Runs one command line. Throws what the command throws, and XDPCTL_E_USAGE for a line that is none. */
export async function dispatch(argv: readonly string[], context: Context): Promise<void> {
  let args = [...argv];
  const [first] = args;
  if (first === "help") args = [...args.slice(1), "--help"];
  if (first === "-V" || first === "--version") args = ["version", ...args.slice(1)];
  const [name] = args;
  const known = name !== undefined && Object.hasOwn(COMMANDS, name);
  if (name !== undefined && !known && !name.startsWith("-")) {
    throw new XdpctlError("XDPCTL_E_USAGE", `unknown command ${name}${didYouMean(name, COMMAND_NAMES)}`);
  }
  if (name === undefined || name === "--help" || name === "-h") {
    const program = await buildProgram(context);
    program.addHelpText("after", exampleText(OVERVIEW)).outputHelp();
    return;
  }
  const program = await buildProgram(context, known ? name : undefined, args[1]);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    throw usageError(error, program, args);
  }
}

const OVERVIEW = [
  ["xdpctl load drop eth1", "drop every packet that comes in on eth1"],
  ["xdpctl status", "what is attached where, and what it did"],
  ["xdpctl repl", "a prompt that takes all commands, and Lua"],
  ["xdpctl load --help", "the arguments of one command"],
] as const;

function usageError(error: CommanderError, program: Command, args: readonly string[]): XdpctlError {
  let at: Command = program;
  const path: string[] = [];
  for (const word of args) {
    const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (next === undefined) break;
    at = next;
    path.push(next.name());
  }
  const where = `xdpctl ${path.join(" ")}`;
  const names = at.commands.map((command) => command.name());
  const remedy = `see \`${where} --help\``;
  if (error.code === "commander.help") {
    return new XdpctlError("XDPCTL_E_USAGE", `${where} needs one of its commands: ${names.join(", ")}`, { remedy });
  }
  if (error.code === "commander.unknownCommand") {
    const word = args[path.length] ?? "";
    const text = `unknown command ${path.join(" ")} ${word}${didYouMean(word, names)}`;
    return new XdpctlError("XDPCTL_E_USAGE", text, { remedy });
  }
  const [message = "", suggestion = ""] = error.message.replace(/^error: /, "").split("\n");
  const hint = /^\(Did you mean (.*)\?\)$/.exec(suggestion);
  const text = `${message}${hint === null ? "" : ` (did you mean ${hint[1]}?)`}`;
  return new XdpctlError("XDPCTL_E_USAGE", text, { remedy });
}

/** Whether a command line asks for JSON, as far as it can be told before it is parsed. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  // What comes after `lab exec NODE` is another program's.
  return (own[0] === "lab" && own[1] === "exec" ? own.slice(0, 3) : own).includes("--json");
}

/** Runs one command line, prints its error, and returns its exit code. */
export async function execute(argv: readonly string[], context: Context): Promise<number> {
  const before = context.terminal.jsonMode;
  if (asksForJson(argv)) context.terminal.jsonMode = true;
  try {
    await dispatch(argv, context);
    return 0;
  } catch (error) {
    if (error instanceof ReaderGone) throw error;
    return context.terminal.failure(error);
  } finally {
    context.terminal.jsonMode = before;
  }
}
