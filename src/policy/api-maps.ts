// SPDX-License-Identifier: MIT
import { type BpfMap, possibleCpus } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { REASONS, VERDICTS } from "../events/index.js";
import { interfaceIndex } from "../linux/index.js";
import type { Host } from "./host.js";
import { lifted } from "./lifted.js";
import {
  argument,
  bytesOf,
  fail,
  type LuaFunction,
  type LuaState,
  lua,
  pushNumber,
  pushText,
  setFunction,
  setGlobal,
  T,
  textArgument,
} from "./lua.js";
import { plainOf, pushPlain } from "./plain.js";

const KEY_SIZE = 8;
const VALUE_SIZE = 16;

interface Counts {
  [verdict: string]: unknown;
  bytes: Record<string, bigint>;
  reasons: Record<string, bigint>;
}

/** The counters of one interface, summed over CPUs, from the `stats` maps (bpf/include/xdpctl.h). */
function countsOf(maps: readonly BpfMap[], ifindex: number): Counts {
  const packets: Record<string, bigint> = {};
  const counts: Counts = { bytes: {}, reasons: {} };
  for (const verdict of VERDICTS) {
    packets[verdict.toLowerCase()] = 0n;
    counts.bytes[verdict.toLowerCase()] = 0n;
  }
  for (const reason of REASONS) counts.reasons[reason] = 0n;
  const cpus = possibleCpus();
  for (const map of maps) {
    if (map.info.keySize !== KEY_SIZE || map.info.valueSize !== VALUE_SIZE) continue;
    for (const [keys, values, n] of map.batches()) {
      for (let i = 0; i < n; i++) {
        if (keys.readUInt32LE(i * KEY_SIZE) !== ifindex) continue;
        const verdict = VERDICTS[keys.readUInt8(i * KEY_SIZE + 4)]?.toLowerCase();
        const reason = REASONS[keys.readUInt8(i * KEY_SIZE + 5)];
        if (verdict === undefined || reason === undefined) continue;
        for (let cpu = 0; cpu < cpus; cpu++) {
          const at = (i * cpus + cpu) * VALUE_SIZE;
          packets[verdict] = (packets[verdict] ?? 0n) + values.readBigUInt64LE(at);
          counts.bytes[verdict] = (counts.bytes[verdict] ?? 0n) + values.readBigUInt64LE(at + 8);
          counts.reasons[reason] = (counts.reasons[reason] ?? 0n) + values.readBigUInt64LE(at);
        }
      }
    }
  }
  return { ...packets, ...counts };
}

function statsFunction(host: Host): LuaFunction {
  return lifted((L) => {
    const name = textArgument(L, 1);
    if (host.maps === undefined) {
      pushPlain(L, countsOf([], 0));
      return 1;
    }
    const ifindex = interfaceIndex(name);
    if (ifindex === undefined) return fail(L, `there is no interface ${name}`);
    pushPlain(L, countsOf(host.maps.all("stats"), ifindex));
    return 1;
  });
}

/** Methods of `maps.NAME`: the map is looked up at each call, so that it survives a replacement of the program. */
function methods(host: Host, name: string): Record<string, LuaFunction> {
  const map = (): BpfMap => {
    const found = host.maps?.get(name);
    if (found !== undefined) return found;
    const known = host.maps?.names() ?? [];
    throw new XdpctlError("XDPCTL_E_NO_MAP", `no attached program has a map ${name}${didYouMean(name, known)}`);
  };
  const key = (L: LuaState): never => plainOf(L, argument(L, 2)) as never;
  // Without a kernel (`policy check`) every map is empty.
  const real = (fn: LuaFunction, empty: (L: LuaState) => void): LuaFunction =>
    lifted((L) => {
      if (host.maps !== undefined) return fn(L);
      empty(L);
      return 1;
    });
  return {
    get: real((L) => {
      pushPlain(L, map().get(key(L)));
      return 1;
    }, lua.lua_pushnil),
    set: real(
      (L) => {
        map().set(key(L), plainOf(L, argument(L, 3)) as never);
        return 0;
      },
      (L) => pushNumber(L, 0),
    ),
    delete: real(
      (L) => {
        lua.lua_pushboolean(L, map().delete(key(L)));
        return 1;
      },
      (L) => lua.lua_pushboolean(L, false),
    ),
    count: real(
      (L) => {
        pushNumber(L, map().count());
        return 1;
      },
      (L) => pushNumber(L, 0),
    ),
    pairs: lifted((L) => {
      const entries = host.maps === undefined ? [][Symbol.iterator]() : map().entries();
      const generation = host.maps?.generation;
      lua.lua_pushcfunction(
        L,
        lifted((L) => {
          // Where the program was replaced meanwhile, the old map's descriptor is closed.
          const next = host.maps?.generation === generation ? entries.next() : ENDED;
          if (next.done === true) {
            lua.lua_pushnil(L);
            return 1;
          }
          const [k, v] = next.value as [unknown, unknown];
          pushPlain(L, k);
          pushPlain(L, v);
          return 2;
        }),
      );
      return 1;
    }),
  };
}

const ENDED = { done: true } as const;

/** `=maps` and `pairs(maps)`: every map of the attached programs, also those that were not used yet. */
function listing(L: LuaState, host: Host): void {
  setFunction(L, "__tostring", (L) => {
    const names = host.maps?.names() ?? [];
    pushText(L, names.length === 0 ? "no maps: no program is attached" : `maps: ${names.join(", ")}`);
    return 1;
  });
  setFunction(L, "__pairs", (L) => {
    const names = (host.maps?.names() ?? [])[Symbol.iterator]();
    lua.lua_pushcfunction(L, (L) => {
      const next = names.next();
      if (next.done === true) {
        lua.lua_pushnil(L);
        return 1;
      }
      pushText(L, next.value);
      lua.lua_pushvalue(L, -1);
      lua.lua_gettable(L, 1);
      return 2;
    });
    lua.lua_pushvalue(L, 1);
    return 2;
  });
}

/** Installs `maps` and `stats`. */
export function openMaps(L: LuaState, host: Host): void {
  setGlobal(L, "stats", statsFunction(host));
  lua.lua_newtable(L);
  lua.lua_newtable(L);
  listing(L, host);
  setFunction(L, "__index", (L) => {
    if (lua.lua_type(L, 2) !== T.string) return fail(L, "a map has a name");
    const name = textArgument(L, 2);
    lua.lua_newtable(L);
    for (const [method, fn] of Object.entries(methods(host, name))) setFunction(L, method, fn);
    lua.lua_newtable(L);
    setFunction(L, "__tostring", (L) => {
      pushText(L, `map ${name}`);
      return 1;
    });
    lua.lua_pushboolean(L, false);
    lua.lua_setfield(L, -2, bytesOf("__metatable"));
    lua.lua_setmetatable(L, -2);
    // The next look finds it in the table itself.
    lua.lua_pushvalue(L, 2);
    lua.lua_pushvalue(L, -2);
    lua.lua_rawset(L, 1);
    return 1;
  });
  setFunction(L, "__newindex", (L) =>
    fail(L, "maps come from the attached programs: write with maps.NAME:set(key, value)"),
  );
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_setmetatable(L, -2);
  lua.lua_setglobal(L, bytesOf("maps"));
}
