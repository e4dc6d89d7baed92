// SPDX-License-Identifier: MIT
import { Command } from "commander";
import { XdpctlError } from "../errors/index.js";

/** An example of a command's help: the line, and what it does. */
export type Example = readonly [line: string, what: string];

export function exampleText(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(([line]) => line.length));
  return `\nExamples:\n${examples.map(([line, what]) => `  $ ${line.padEnd(width)}  # ${what}`).join("\n")}\n`;
}

/** A command that acts: with `--json`, a description, and examples. */
export function leaf(parent: Command, usage: string, description: string, examples: readonly Example[]): Command {
  return parent
    .command(usage)
    .description(description)
    .option("--json", "print JSON: one object, or one a line for streams")
    .addHelpText("after", exampleText(examples));
}

/** A command that only holds others, such as `map`. */
export function group(parent: Command, name: string, description: string, examples: readonly Example[] = []): Command {
  const made = parent.command(name).description(description);
  return examples.length === 0 ? made : made.addHelpText("after", exampleText(examples));
}

/** Lets a parser of quantities serve commander, which adds the option's name. */
export function parser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => parse(text);
}

export function usage(message: string, remedy?: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_USAGE", message, remedy === undefined ? {} : { remedy });
}

/** An interface as a command line names it: an empty name is a variable that is not set. Throws XDPCTL_E_USAGE. */
export function interfaceName(text: string): string {
  if (text === "") throw usage("the name of an interface is empty", "is a variable of the shell not set?");
  return text;
}

/** The root of all commands: nothing in it exits or prints by itself. */
export function root(write: (text: string) => void): Command {
  return new Command("xdpctl")
    .description("Put packet programs on interfaces, watch what they do, and let a Lua policy answer.")
    .usage("COMMAND [ARGUMENTS]")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {} });
}
