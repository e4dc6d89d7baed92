// SPDX-License-Identifier: MIT
import type { ErrorCode } from "../errors/index.js";
import type { Abort } from "./guard.js";
import type { Host } from "./host.js";
import { type LuaState, lua, T, textOf } from "./lua.js";
import type { ScriptFailure } from "./messages.js";
import { HOOK, HOOK_NAMES } from "./shared.js";
import { hookText, stoppedText } from "./stopped.js";

const MARK = "\nstack traceback:";

/** The failure behind a call that ended with an error: an abort of the guard, or the message on top of the stack. */
export function explain(
  L: LuaState,
  host: Host,
  hook: number,
  abort: Abort | undefined,
  code: ErrorCode,
): ScriptFailure {
  const name = HOOK_NAMES[hook] ?? "";
  if (abort !== undefined) {
    const interrupted = abort.kind === "interrupt";
    return {
      code: abort.kind === "memory" ? "XDPCTL_E_LUA_MEMORY" : "XDPCTL_E_LUA_TIMEOUT",
      message: interrupted ? "interrupted" : stoppedText(host.file, abort.line, hook, abort.message),
      line: abort.line,
      hook: name,
      traceback: [],
      times: 1,
    };
  }
  const type = lua.lua_type(L, -1);
  const text = type === T.string ? textOf(lua.lua_tostring(L, -1) as Uint8Array) : "an error that is no text";
  lua.lua_pop(L, 1);
  const at = text.indexOf(MARK);
  const message = at < 0 ? text : text.slice(0, at);
  const traceback =
    at < 0
      ? []
      : text
          .slice(at + MARK.length)
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== "" && !/^\[(C|JS)\]/.test(line));
  const line = Number(/^[^\n]*?:(\d+): /.exec(message)?.[1] ?? 0);
  const inHook = code === "XDPCTL_E_LUA_RUNTIME" && hook !== HOOK.chunk ? ` (in ${hookText(hook)})` : "";
  return {
    code,
    message: message.slice(0, 1000) + inHook,
    line,
    hook: name,
    traceback: traceback.slice(0, 10),
    times: 1,
  };
}
