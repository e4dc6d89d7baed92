// SPDX-License-Identifier: MIT
import { similar } from "../../errors/index.js";

export type Line =
  | { kind: "empty" }
  | { kind: "command"; name: string }
  /** Nearly a command: `lod drop eth1`. */
  | { kind: "typo"; word: string; meant: string }
  | { kind: "lua"; code: string; expression: boolean };

/** Words that start a Lua statement, or are functions that everyone calls as `print "x"`. */
const LUA_WORDS = new Set(
  (
    "and break do else elseif end false for function goto if in local nil not or repeat return then true until while " +
    "print log require assert error pcall select type tostring tonumber pairs ipairs every on now state maps stats"
  ).split(" "),
);

/**
 * Tells a line of the REPL from its first word: `=expr` and statements are Lua, a command's name followed by a space or
 * nothing is a command, and a word nearly like one, followed by the same, is a mistyped command.
 */
export function classify(line: string, commands: readonly string[]): Line {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return { kind: "empty" };
  if (text.startsWith("=")) return { kind: "lua", code: text.slice(1).trim(), expression: true };
  const [, word, rest] = /^([A-Za-z_?][\w-]*)(.*)$/s.exec(text) ?? [];
  const lua: Line = { kind: "lua", code: text, expression: false };
  if (word === undefined || rest === undefined) return lua;
  if (rest !== "" && !/^\s/.test(rest)) return lua;
  // `status = 1` and `a, b = 1, 2` assign.
  if (/^\s*[=,]/.test(rest) && !/^\s*==/.test(rest)) return lua;
  if (commands.includes(word)) return { kind: "command", name: word };
  if (LUA_WORDS.has(word)) return lua;
  if (/^\s*[(.:[{]/.test(rest)) return lua;
  const meant = similar(word, commands);
  return meant === undefined ? lua : { kind: "typo", word, meant };
}

/** Whether Lua's complaint is only that the chunk goes on: the next line belongs to it. */
export function isUnfinished(message: string): boolean {
  return /(near |')<eof>'?/.test(message);
}
