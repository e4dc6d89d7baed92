// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { parseCidr } from "../packet/index.js";
import { argument, fail, type LuaState, lauxlib, STRING, T, TABLE, type Table, type TValue } from "./lua.js";
import { FILTER_PROTOCOLS, type FilterProtocol, type PacketFilter } from "./packet-filter.js";
import type { PacketHooks } from "./packet-hooks.js";
import { plainOf } from "./plain.js";

const KEYS = ["interface", "protocol", "port", "source_port", "from", "to", "on_error"] as const;

/** A value that is none of what it should be, for messages. */
function said(value: unknown): string {
  if (value === "") return "an empty text";
  if (typeof value === "string") return `the text ${JSON.stringify(value)}`;
  return typeof value === "object" ? "a table" : String(value);
}

function port(L: LuaState, key: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  return fail(L, `${key} is a port, 1 to 65535, not ${said(value)}`);
}

function text(L: LuaState, key: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  return fail(L, `${key} is a text, not ${said(value)}`);
}

function protocol(L: LuaState, value: unknown): FilterProtocol | number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 253) return value;
  const name = FILTER_PROTOCOLS.find((known) => known === value);
  if (name !== undefined) return name;
  const shown = typeof value === "string" ? `"${value}"` : said(value);
  const meant = didYouMean(String(value), FILTER_PROTOCOLS);
  return fail(L, `protocol: ${shown} is none${meant}: ${FILTER_PROTOCOLS.join(", ")}, or 1 to 253`);
}

function block(L: LuaState, key: string, value: unknown): string | undefined {
  const address = text(L, key, value);
  if (address === undefined) return undefined;
  try {
    parseCidr(address);
  } catch (error) {
    if (!XdpctlError.is(error)) throw error;
    return fail(L, `${key}: ${error.message}`);
  }
  return address;
}

/** The filter that a table is which has some of the keys above. */
function filterArgument(L: LuaState, given: TValue): PacketFilter {
  for (const { key } of (given.value as Table).strong.values())
    if (key.type !== STRING) fail(L, `a packet filter's keys are names: ${KEYS.join(", ")}`);
  const table = plainOf(L, given) as Record<string, unknown>;
  for (const key of Object.keys(table))
    if (!(KEYS as readonly string[]).includes(key))
      fail(L, `a packet filter has no ${key}${didYouMean(key, KEYS)}: ${KEYS.join(", ")}`);
  const onError = table.on_error ?? "pass";
  if (onError !== "pass" && onError !== "drop") fail(L, `on_error is "pass" or "drop"`);
  const filter = {
    interface: text(L, "interface", table.interface),
    protocol: protocol(L, table.protocol),
    port: port(L, "port", table.port),
    sourcePort: port(L, "source_port", table.source_port),
    from: block(L, "from", table.from),
    to: block(L, "to", table.to),
    onError,
  };
  if (filter.from !== undefined && filter.to !== undefined && filter.from.includes(":") !== filter.to.includes(":"))
    fail(L, "from and to are of one family, or no packet has both");
  const portless = filter.protocol !== undefined && filter.protocol !== "tcp" && filter.protocol !== "udp";
  if (portless && filter.protocol !== 6 && filter.protocol !== 17 && (filter.port ?? filter.sourcePort) !== undefined)
    fail(L, `${filter.protocol} has no ports`);
  // What is undefined is left out: it goes through messages, and is compared.
  return Object.fromEntries(
    Object.entries(filter).filter(([, value]) => value !== undefined),
  ) as unknown as PacketFilter;
}

/** `on("packet", [filter,] fn)`. */
export function hookPackets(
  L: LuaState,
  packets: PacketHooks,
  id: number,
  copy: (value: TValue | undefined) => TValue,
): void {
  const given = argument(L, 2);
  const filtered = given?.type === TABLE;
  const filter: PacketFilter = filtered ? filterArgument(L, given) : { onError: "pass" };
  lauxlib.luaL_checktype(L, filtered ? 3 : 2, T.function);
  packets.add(L, id, filter, copy(argument(L, filtered ? 3 : 2)));
}
