// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { fail, type LuaFunction } from "./lua.js";

/** Errors of ours become Lua errors, with the script's position in front. */
export function lifted(fn: LuaFunction): LuaFunction {
  return (L) => {
    try {
      return fn(L);
    } catch (error) {
      if (XdpctlError.is(error)) return fail(L, error.message);
      throw error;
    }
  };
}
