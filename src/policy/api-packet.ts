// SPDX-License-Identifier: MIT
import { didYouMean } from "../errors/index.js";
import {
  ETHERTYPE,
  findCookie,
  findHttpHeader,
  findServerName,
  Found,
  IP_PROTOCOL,
  u16At,
  u32At,
} from "../packet/index.js";
import { ANSWERS, pushMade } from "./api-answers.js";
import { DNS } from "./api-dns.js";
import { openData, payloadArgument, pushData } from "./api-data.js";
import { lifted } from "./lifted.js";
import {
  argument,
  bytesOf,
  fail,
  INTEGER,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lobject,
  lstring,
  lua,
  NIL,
  pushNumber,
  pushString,
  pushText,
  STRING,
  type TString,
  type TValue,
  textOf,
  USERDATA,
} from "./lua.js";
import type { PacketHooks } from "./packet-hooks.js";
import { METADATA_BYTES } from "./packet-ring.js";
import type { Getter, PacketView } from "./packet-view.js";
import { flagText } from "./records.js";

const { TValue: Value } = lobject;
const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };
/** Names whose field is kept with the string that asked for it. */
const MOST_NAMES = 1000;
const NOTHING = new Value(NIL, null);
const found = new Found();

function pushBytes(L: LuaState, bytes: Uint8Array, start: number, end: number): number {
  L.stack[L.top++] = new Value(STRING, lstring.luaS_bless(L, bytes.slice(start, end)));
  return 1;
}

function pushNil(L: LuaState): number {
  lua.lua_pushnil(L);
  return 1;
}

/** A number, or nil for one that is negative. */
function pushOr(L: LuaState, n: number): number {
  if (n < 0) return pushNil(L);
  pushNumber(L, n);
  return 1;
}

function ports(view: PacketView): { sport: number; dport: number } | undefined {
  const { frame } = view;
  if (frame.header === IP_PROTOCOL.TCP) return frame.tcp;
  return frame.header === IP_PROTOCOL.UDP ? frame.udp : undefined;
}

function pushProtocol(L: LuaState, view: PacketView): number {
  const { protocol } = view;
  if (protocol < 0) pushText(L, view.frame.ethernet.etherType === ETHERTYPE.ARP ? "arp" : "non-ip");
  else pushText(L, PROTOCOLS[protocol] ?? String(protocol));
  return 1;
}

function pushFlags(L: LuaState, view: PacketView): number {
  const { frame } = view;
  pushText(L, flagText(frame.header === IP_PROTOCOL.TCP ? frame.tcp.flags : 0));
  return 1;
}

function pushAddress(side: number): Getter {
  return (L, view) => {
    const address = view.address(side);
    if (address === undefined) return pushNil(L);
    pushString(L, address);
    return 1;
  };
}

const FIELDS: Record<string, Getter> = {
  src: pushAddress(0),
  dst: pushAddress(1),
  proto: pushProtocol,
  sport: (L, view) => pushOr(L, ports(view)?.sport ?? -1),
  dport: (L, view) => pushOr(L, ports(view)?.dport ?? -1),
  flags: pushFlags,
  length: (L, view) => pushOr(L, view.end - view.start),
  ifindex: (L, view) => pushOr(L, view.ifindex),
  interface: (L, view) => {
    pushString(L, view.interface);
    return 1;
  },
  vlan: (L, view) => pushOr(L, view.frame.ethernet.tags > 0 ? view.frame.ethernet.vlanId(0) : 0),
  network: (L, view) => pushOr(L, view.frame.network === 0 ? -1 : view.frame.ethernet.payloadStart - view.start),
  transport: (L, view) => pushOr(L, view.frame.header === 0 ? -1 : view.frame.transportStart - view.start),
  payload: (L, view) => pushOr(L, view.payloadAt < 0 ? -1 : view.payloadAt - view.start),
  payload_length: (L, view) => pushOr(L, view.payloadAt < 0 ? -1 : view.payloadEnd - view.payloadAt),
};

/** An offset or a length: an integer; -1 for one that can't be in a packet. */
function offsetArgument(L: LuaState, index: number): number {
  const value = argument(L, index);
  if (value?.type === INTEGER) return (value.value as number) >= 0 ? (value.value as number) : -1;
  return Math.min(lauxlib.luaL_checkinteger(L, index), -1);
}

/** Where `size` bytes at an offset lie in the view's bytes; -1 out of range. */
function within(view: PacketView, offset: number, size: number): number {
  const at = view.start + offset;
  return offset >= 0 && size >= 0 && at + size <= view.end ? at : -1;
}

/** Big endian, of 1 to 4 bytes; nil out of range. */
function pushInteger(L: LuaState, view: PacketView, offset: number, size: number): number {
  const at = within(view, offset, size);
  if (at < 0) return pushNil(L);
  const { bytes } = view;
  if (size === 1) pushNumber(L, bytes[at] as number);
  else if (size === 2) pushNumber(L, u16At(bytes, at));
  else if (size === 3) pushNumber(L, ((bytes[at] as number) << 16) | u16At(bytes, at + 1));
  else pushNumber(L, u32At(bytes, at));
  return 1;
}

function pushSlice(L: LuaState, view: PacketView, offset: number, index: number): number {
  const whole = (argument(L, index) ?? NOTHING).type === NIL;
  const length = whole ? view.end - view.start - offset : offsetArgument(L, index);
  const at = within(view, offset, length);
  return at < 0 ? pushNil(L) : pushBytes(L, view.bytes, at, at + length);
}

function bytesArgument(L: LuaState, index: number): Uint8Array {
  return lauxlib.luaL_checkstring(L, index);
}

function pushFound(L: LuaState, view: PacketView, is: boolean): number {
  return is ? pushBytes(L, view.bytes, found.start, found.end) : pushNil(L);
}

/** `p:NAME(…)`: arguments begin at 2. */
const METHODS: Record<string, Getter> = {
  ...ANSWERS,
  ...DNS,
  u8: (L, view) => pushInteger(L, view, offsetArgument(L, 2), 1),
  u16: (L, view) => pushInteger(L, view, offsetArgument(L, 2), 2),
  u32: (L, view) => pushInteger(L, view, offsetArgument(L, 2), 4),
  string: (L, view) => pushSlice(L, view, offsetArgument(L, 2), 3),
  meta: (L, view) => {
    const size = lauxlib.luaL_checkinteger(L, 2);
    if (size < 4 || size > METADATA_BYTES || size % 4 !== 0)
      return fail(L, `metadata has 4, 8, … ${METADATA_BYTES} bytes, not ${size}`);
    return view.metadata < size ? pushNil(L) : pushData(L, view.bytes.slice(view.start - size, view.start));
  },
  data: (L, view) => {
    const offset = (argument(L, 2) ?? NOTHING).type === NIL ? 0 : offsetArgument(L, 2);
    const whole = (argument(L, 3) ?? NOTHING).type === NIL;
    const length = whole ? view.end - view.start - offset : offsetArgument(L, 3);
    const at = within(view, offset, length);
    return at < 0 ? pushNil(L) : pushData(L, view.bytes.slice(at, at + length));
  },
  http_header: (L, view) =>
    pushFound(L, view, findHttpHeader(view.bytes, view.payloadAt, view.payloadEnd, bytesArgument(L, 2), found)),
  cookie: (L, view) =>
    pushFound(L, view, findCookie(view.bytes, view.payloadAt, view.payloadEnd, bytesArgument(L, 2), found)),
  tls_sni: (L, view) => pushFound(L, view, findServerName(view.bytes, view.payloadAt, view.payloadEnd, found)),
  udp_reply: (L, view) => pushMade(L, view.answer.udp(view.bytes, view.start, view.end, payloadArgument(L, 2))),
  tcp_rst: (L, view) => pushMade(L, view.answer.rst(view.bytes, view.start, view.end)),
};

function checked(L: LuaState, view: PacketView): PacketView {
  if (!view.current) fail(L, "a packet is there during the call of its hook alone: keep what you need of it");
  return view;
}

function isPacket(L: LuaState, packets: PacketHooks): boolean {
  const value = argument(L, 1);
  return value?.type === USERDATA && value.value === packets.userdata;
}

/** Makes the packet that hooks get, and `unpack`, which reads it as XDPLua's does. */
export function openPackets(L: LuaState, packets: PacketHooks): void {
  const { view } = packets;
  const methods = new Map<string, TValue>();
  for (const [name, method] of Object.entries(METHODS)) {
    lua.lua_pushcfunction(
      L,
      lifted((L: LuaState) => {
        if (!isPacket(L, packets)) fail(L, `call it with a colon: p:${name}(…)`);
        return method(L, checked(L, view));
      }),
    );
    methods.set(name, L.stack[L.top - 1] as TValue);
    L.stack[L.top - 1] = new Value(INTEGER, 0);
    lua.lua_pop(L, 1);
  }
  const known = new Map<TString, Getter | TValue>();
  const find = (L: LuaState, key: TString): Getter | TValue => {
    const name = textOf(key.realstring);
    const what = FIELDS[name] ?? methods.get(name);
    if (what === undefined)
      return fail(L, `a packet has no ${name}${didYouMean(name, [...Object.keys(FIELDS), ...methods.keys()])}`);
    if (known.size > MOST_NAMES) known.clear();
    known.set(key, what);
    return what;
  };
  const index: LuaFunction = (L) => {
    const key = argument(L, 2);
    if (key?.type !== STRING) return fail(L, "a packet's fields have names");
    const what = known.get(key.value as TString) ?? find(L, key.value as TString);
    if (typeof what === "function") return what(L, checked(L, view));
    L.stack[L.top++] = new Value(what.type, what.value);
    return 1;
  };
  lua.lua_newuserdata(L, 0);
  packets.userdata = (L.stack[L.top - 1] as TValue).value;
  lua.lua_newtable(L);
  lua.lua_pushcfunction(L, index);
  lua.lua_setfield(L, -2, bytesOf("__index"));
  lua.lua_pushcfunction(L, (L) => fail(L, "a packet can't be changed: answer it"));
  lua.lua_setfield(L, -2, bytesOf("__newindex"));
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_setmetatable(L, -2);
  lua.lua_pop(L, 1);
  openUnpack(L, packets);
  openData(L);
}

function openUnpack(L: LuaState, packets: PacketHooks): void {
  const packet = (L: LuaState): PacketView => {
    if (!isPacket(L, packets)) fail(L, "the first argument is the packet");
    return checked(L, packets.view);
  };
  lua.lua_newtable(L);
  lua.lua_pushcfunction(L, (L) => {
    const size = lauxlib.luaL_checkinteger(L, 3);
    if (size < 1 || size > 4) fail(L, `an integer of ${size} bytes: 1 to 4`);
    return pushInteger(L, packet(L), offsetArgument(L, 2), size);
  });
  lua.lua_setfield(L, -2, bytesOf("int"));
  lua.lua_pushcfunction(L, (L) => pushSlice(L, packet(L), offsetArgument(L, 2), 3));
  lua.lua_setfield(L, -2, bytesOf("string"));
  lua.lua_setglobal(L, bytesOf("unpack"));
}
