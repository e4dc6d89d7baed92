// SPDX-License-Identifier: MIT
import { FIB, type FibLookup } from "../bpf/index.js";
import { errnoText } from "../linux/index.js";
import { formatAddress, formatMac, parseAddress, sameBytes } from "../packet/index.js";
import { lifted } from "./lifted.js";
import {
  argument,
  fail,
  type LuaState,
  lua,
  NIL,
  pushText,
  setGlobal,
  STRING,
  type TString,
  textArgument,
  textOf,
} from "./lua.js";
import type { Host } from "./host.js";
import type { PacketView } from "./packet-view.js";
import { pushPlain } from "./plain.js";

const LOOPBACK = 1;

/** Why a packet goes nowhere; `on` is the interface by which it would come in. */
function refusal(code: number, on: string, family: 4 | 6): string {
  switch (code) {
    case FIB.BLACKHOLE:
      return "the route is a black hole";
    case FIB.UNREACHABLE:
      return "the route says that it is unreachable";
    case FIB.PROHIBIT:
      return "the route says that it is prohibited";
    case FIB.NOT_FORWARDED:
      return "it is this machine's own, or there is no route";
    case FIB.FORWARDING_OFF:
      return `forwarding is off on ${on} (sysctl net.ipv${family}.conf.${on}.forwarding)`;
    case FIB.TUNNEL:
      return "the route has an encapsulation, which XDP can't make";
    case FIB.NO_SOURCE:
      return "there is no source address for it";
    default:
      return code < 0 ? errnoText(-code) : `the kernel answered ${code}`;
  }
}

/** What a script gets; without the hardware addresses while the next hop's is not known. */
function routeOf(routes: FibLookup, asked: Uint8Array, known: boolean, name: string): Record<string, unknown> {
  const { ifindex, via, source, mtu } = routes;
  const direct = via.length === asked.length && sameBytes(via, 0, asked, 0, asked.length);
  return {
    ifindex,
    interface: name,
    ...(direct ? {} : { via: formatAddress(via) }),
    ...(source === undefined ? {} : { source: formatAddress(source) }),
    ...(mtu === 0 ? {} : { mtu }),
    ...(known ? { dst_mac: formatMac(routes.dstMac), src_mac: formatMac(routes.srcMac) } : {}),
  };
}

function inputArgument(L: LuaState, view: PacketView): number {
  const given = argument(L, 2);
  if (given === undefined || given.type === NIL) return view.current ? view.ifindex : LOOPBACK;
  if (given.type !== STRING) fail(L, "the interface by which it comes in is a name");
  const name = given.value as TString;
  return view.indexOf(name) || fail(L, `there is no interface ${textOf(name.realstring)}`);
}

/** Installs `fib_lookup(address [, interface])`. */
export function openRoutes(L: LuaState, host: Host, view: PacketView): void {
  const nameOf = (index: number): string => textOf(view.nameOf(index).realstring);
  const lookup = lifted((L: LuaState) => {
    const { bytes, family } = parseAddress(textArgument(L, 1));
    const { routes } = host;
    const refuse = (why: string): number => {
      lua.lua_pushnil(L);
      pushText(L, why);
      return 2;
    };
    // `policy check`: nothing is asked of the kernel, and no interface is looked for.
    if (routes === undefined) return refuse("nothing is routed in a check");
    const input = inputArgument(L, view);
    if (typeof routes === "string") return refuse(`the routing table can't be asked: ${routes}`);
    const code = routes.lookup(bytes, input);
    if (code !== FIB.SUCCESS && code !== FIB.NO_NEIGHBOUR) return refuse(refusal(code, nameOf(input), family));
    pushPlain(L, routeOf(routes, bytes, code === FIB.SUCCESS, nameOf(routes.ifindex)));
    return 1;
  });
  setGlobal(L, "fib_lookup", lookup);
}
