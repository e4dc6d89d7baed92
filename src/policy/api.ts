// SPDX-License-Identifier: MIT
import { didYouMean } from "../errors/index.js";
import { formatCidr } from "../packet/index.js";
import { type Block, blockOf } from "./addresses.js";
import { hookGroup, openGenl } from "./api-genl.js";
import { openMaps } from "./api-maps.js";
import { openPackets } from "./api-packet.js";
import { openRoutes } from "./api-route.js";
import { formatted } from "./format.js";
import type { Host } from "./host.js";
import { lifted } from "./lifted.js";
import {
  argument,
  bytesOf,
  fail,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lua,
  pushNumber,
  setGlobal,
  STRING,
  T,
  type TString,
  textArgument,
  textOf,
} from "./lua.js";
import type { ScriptAction } from "./messages.js";
import { numberArgument } from "./numbers.js";
import { pushPlain, setField } from "./plain.js";
import type { Script } from "./script.js";
import { COUNT } from "./shared.js";

/** What `policy check` lists as used. */
export const API_NAMES = [
  ...["block", "allow", "limit", "unblock", "unallow", "unlimit"],
  ...["maps", "stats", "load", "unload", "every", "stop", "log", "print", "state", "args", "genl", "unpack", "data"],
  "fib_lookup",
] as const;

/** What a script may hook; the first seven by their numbers. */
const EVENTS = ["flow", "deny", "rate", "malformed", "link", "xdp", "exit", "genl", "packet"] as const;

const LONGEST_LINE = 4096;
/** CLOCK_MONOTONIC minus performance.now(), in seconds: `now()` goes on through restarts. */
const OFFSET = Number(process.hrtime.bigint()) / 1e9 - performance.now() / 1e3;

function blockArgument(L: LuaState): Block {
  const value = argument(L, 1);
  if (value?.type !== STRING) return fail(L, "an address or block (10.0.0.0/8) is needed, as a string");
  return blockOf(value.value as TString);
}

function duration(seconds: number): string {
  return seconds === 0 ? "until it is unloaded" : `for ${seconds} s`;
}

function rules(L: LuaState, host: Host): void {
  const put = (action: "deny" | "allow", verb: ScriptAction): LuaFunction =>
    lifted((L) => {
      const block = blockArgument(L);
      const seconds = numberArgument(L, 2, "the time in seconds", 0, 0);
      const isNew = host.rules?.put(action, block, seconds, performance.now()) ?? true;
      if (isNew) {
        if (action === "deny") host.shared.counts[COUNT.blocked] = (host.shared.counts[COUNT.blocked] as number) + 1;
        host.action(verb, `${formatCidr(block, false)} ${duration(seconds)}`);
      }
      lua.lua_pushboolean(L, isNew);
      return 1;
    });
  const take = (action: "deny" | "allow" | "limit", verb: ScriptAction): LuaFunction =>
    lifted((L) => {
      const block = blockArgument(L);
      const removed = host.rules?.remove(action, block) ?? true;
      if (removed) host.action(verb, formatCidr(block, false));
      lua.lua_pushboolean(L, removed);
      return 1;
    });
  setGlobal(L, "block", put("deny", "block"));
  setGlobal(L, "allow", put("allow", "allow"));
  setGlobal(L, "unblock", take("deny", "unblock"));
  setGlobal(L, "unallow", take("allow", "unallow"));
  setGlobal(L, "unlimit", take("limit", "unlimit"));
  setGlobal(
    L,
    "limit",
    lifted((L) => {
      const block = blockArgument(L);
      const rate = Math.min(Math.floor(numberArgument(L, 2, "the rate in packets per second", 0)), 0xffffffff);
      const burst = Math.min(
        Math.floor(numberArgument(L, 3, "the burst in packets", 0, Math.max(rate, 1))),
        0xffffffff,
      );
      const seconds = numberArgument(L, 4, "the time in seconds", 0, 0);
      const isNew = host.rules?.limit(block, rate, burst, seconds, performance.now()) ?? true;
      if (isNew) host.action("limit", `${formatCidr(block, false)} to ${rate}/s ${duration(seconds)}`);
      lua.lua_pushboolean(L, isNew);
      return 1;
    }),
  );
}

function cut(text: string): string {
  return text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text;
}

function output(L: LuaState, host: Host): void {
  setGlobal(L, "log", (L) => {
    if (lua.lua_gettop(L) === 1) host.log(cut(textOf(lauxlib.luaL_tolstring(L, 1))));
    else host.log(cut(Buffer.from(formatted(L, 1), "latin1").toString()));
    return 0;
  });
  setGlobal(L, "print", (L) => {
    const parts: string[] = [];
    for (let i = 1, n = lua.lua_gettop(L); i <= n; i++) {
      parts.push(textOf(lauxlib.luaL_tolstring(L, i)));
      lua.lua_pop(L, 1);
    }
    host.log(cut(parts.join("\t")));
    return 0;
  });
}

function hooks(L: LuaState, host: Host, script: Script): void {
  setGlobal(L, "on", (L) => {
    const event = textArgument(L, 1);
    const index = (EVENTS as readonly string[]).indexOf(event);
    if (index < 0) return fail(L, `there is no event "${event}"${didYouMean(event, EVENTS)}: ${EVENTS.join(", ")}`);
    if (event === "genl") {
      hookGroup(L, host, script.generic);
      return 0;
    }
    if (event === "packet") {
      pushNumber(L, script.addPacketHook(L));
      return 1;
    }
    lauxlib.luaL_checktype(L, 2, T.function);
    script.addHook(L, index + 1, 2);
    return 0;
  });
  setGlobal(L, "every", (L) => {
    const seconds = numberArgument(L, 1, "the time between two calls in seconds", 0.01);
    lauxlib.luaL_checktype(L, 2, T.function);
    pushNumber(L, script.addTimer(L, seconds, 2));
    return 1;
  });
  setGlobal(L, "stop", (L) => {
    lua.lua_pushboolean(L, script.stop(numberArgument(L, 1, "the number of a timer or packet hook", 1)));
    return 1;
  });
}

function programs(L: LuaState, host: Host, script: Script): void {
  const ask = (op: "load" | "unload", takesProgram: boolean): LuaFunction => {
    return (L) => {
      const program = takesProgram ? textArgument(L, 1) : "";
      const at = takesProgram ? 2 : 1;
      const name = textArgument(L, at);
      if (lua.lua_type(L, at + 1) > 0) lauxlib.luaL_checktype(L, at + 1, T.function);
      host.request(script.addCallback(L, at + 1), op, program, name);
      return 0;
    };
  };
  setGlobal(L, "load", ask("load", true));
  setGlobal(L, "unload", ask("unload", false));
}

function pushArgs(L: LuaState, host: Host): void {
  lua.lua_newtable(L);
  for (const [i, value] of host.args.positional.entries()) {
    pushNumber(L, i + 1);
    pushPlain(L, value);
    lua.lua_rawset(L, -3);
  }
  for (const [name, value] of Object.entries(host.args.named)) setField(L, name, value);
  lua.lua_setglobal(L, bytesOf("args"));
}

/** Installs what a policy can do. */
export function openApi(L: LuaState, host: Host, script: Script): void {
  rules(L, host);
  output(L, host);
  hooks(L, host, script);
  programs(L, host, script);
  pushArgs(L, host);
  openMaps(L, host);
  openGenl(L, host, script.generic);
  openPackets(L, script.packets);
  openRoutes(L, host, script.packets.view);
  setGlobal(L, "now", (L) => {
    lua.lua_pushnumber(L, performance.now() / 1e3 + OFFSET);
    return 1;
  });
}
