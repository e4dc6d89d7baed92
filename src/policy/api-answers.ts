// SPDX-License-Identifier: MIT
/* The answers of a packet hook that are frames: back, out by another interface, or in the packet's place. */
import { parseMac } from "../packet/index.js";
import { payloadArgument } from "./api-data.js";
import {
  argument,
  fail,
  INTEGER,
  type LuaState,
  lua,
  NIL,
  pushText,
  STRING,
  TABLE,
  type TString,
  textOf,
} from "./lua.js";
import { FRAME_LENGTH, type Made } from "./packet-answer.js";
import type { Getter, PacketView } from "./packet-view.js";
import { plainOf } from "./plain.js";

/** Pushes what the hook is to return: the answer's name, or nil where none could be made. */
export function pushMade(L: LuaState, made: boolean, what: Exclude<Made, ""> = "reply"): number {
  if (made) pushText(L, what);
  else lua.lua_pushnil(L);
  return 1;
}

/** Loads the frame of argument `index` into the answer; the packet itself where there is none. */
function load(L: LuaState, view: PacketView, index: number, made: Made): void {
  const given = argument(L, index);
  if (given === undefined || given.type === NIL) {
    view.answer.copy(made, view.bytes, view.start, view.end);
    return;
  }
  const bytes = payloadArgument(L, index);
  const { least, most } = FRAME_LENGTH;
  if (bytes.length < least || bytes.length > most)
    fail(L, `a frame has ${least} to ${most} bytes, not ${bytes.length}`);
  view.answer.frame(made, bytes);
}

/** A route, as `fib_lookup` gives it: false where the stack must say or find out something first. */
function toRoute(L: LuaState, view: PacketView): boolean {
  const { ifindex, dst_mac, src_mac, mtu } = plainOf(L, argument(L, 2)) as Record<string, unknown>;
  if (typeof ifindex !== "number" || !Number.isInteger(ifindex) || ifindex < 1)
    return fail(L, "a route is what fib_lookup returns: it has ifindex, dst_mac and src_mac");
  if (dst_mac === undefined && src_mac === undefined) return false;
  const [dst, src] = [parseMac(String(dst_mac)), parseMac(String(src_mac))];
  if (dst === undefined || src === undefined)
    return fail(L, `a route's dst_mac and src_mac are hardware addresses, not ${dst_mac} and ${src_mac}`);
  load(L, view, 3, "redirect");
  view.answer.out = ifindex;
  return view.answer.route(dst, src, typeof mtu === "number" ? mtu : 0);
}

export const ANSWERS: Record<string, Getter> = {
  pass: (L, view) => {
    const replaced = (argument(L, 2)?.type ?? NIL) !== NIL;
    if (replaced) load(L, view, 2, "pass");
    return pushMade(L, true, "pass");
  },
  send: (L, view) => {
    load(L, view, 2, "reply");
    return pushMade(L, true);
  },
  redirect: (L, view) => {
    const to = argument(L, 2);
    // `p:redirect(fib_lookup(address))`, where there is no route.
    if (to?.type === NIL) return pushMade(L, false);
    if (to?.type === TABLE) return pushMade(L, toRoute(L, view), "redirect");
    if (to?.type === STRING) {
      const name = to.value as TString;
      view.answer.out = view.indexOf(name);
      if (view.answer.out === 0) fail(L, `there is no interface ${textOf(name.realstring)} to redirect to`);
    } else if (to?.type === INTEGER && (to.value as number) > 0) view.answer.out = to.value as number;
    else fail(L, "redirect where to? An interface's name or number, or a route of fib_lookup");
    load(L, view, 3, "redirect");
    return pushMade(L, true, "redirect");
  },
};
