// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Context } from "../context.js";

/**
 * Puts a command into a program; what it needs to act is imported when it acts. A command with commands of its own may leave
 * out all but `verb`, the next word of the line, where that is one of them.
 */
export type Register = (program: Command, context: Context, verb?: string) => void | Promise<void>;

/** Every command by its first word, in the order of the help. Only the one that is called is loaded. */
export const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  load: async () => (await import("./load.js")).register,
  unload: async () => (await import("./unload.js")).register,
  status: async () => (await import("./status.js")).register,
  allow: async () => (await import("./rule.js")).registerAllow,
  deny: async () => (await import("./rule.js")).registerDeny,
  limit: async () => (await import("./rule.js")).registerLimit,
  rules: async () => (await import("./rules.js")).register,
  map: async () => (await import("./map.js")).register,
  events: async () => (await import("./events.js")).register,
  capture: async () => (await import("./capture.js")).register,
  policy: async () => (await import("./policy.js")).register,
  run: async () => (await import("./run.js")).register,
  genl: async () => (await import("./genl.js")).register,
  xsk: async () => (await import("./xsk.js")).register,
  mptcp: async () => (await import("./mptcp.js")).register,
  lab: async () => (await import("./lab.js")).register,
  vm: async () => (await import("./vm.js")).register,
  repl: async () => (await import("./repl.js")).register,
  version: async () => (await import("./version.js")).register,
};
