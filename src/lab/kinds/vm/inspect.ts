// SPDX-License-Identifier: MIT
import type { XdpctlError } from "../../../errors/index.js";
import type { InspectedGuest, InspectedInterface, InspectedNode } from "../../inspect.js";
import type { Place } from "../kind.js";
import { askGuest } from "./ask.js";
import { type GuestFiles, guestFiles, readRecord } from "./files.js";
import { guestEnd, guestTrouble } from "./launch.js";

/** Why nothing can be done in a guest. */
export function guestFault({ state, node }: Place): XdpctlError | undefined {
  const supervisor = state.machines[node.name]?.vm?.supervisor;
  return guestTrouble(guestFiles(state.name, node.name), supervisor, `xdpctl lab gdb ${node.name}`);
}

/** `uname -r` of a guest. */
export const guestKernel = ({ state, node }: Place): string =>
  readRecord(guestFiles(state.name, node.name).record)?.kernel ?? "";

interface Link {
  ifname: string;
  ifindex: number;
  mtu: number;
  address: string;
  flags: string[];
  xdp?: { mode: number; prog?: { id: number } };
  addr_info: { local: string; prefixlen: number }[];
}

interface Route {
  dst: string;
  gateway?: string;
  dev: string;
}

const MODES = ["none", "native", "generic", "offloaded", "multi"];

/** What is known of a guest outside of it; `error` is why it is not there any more. */
export function inspectRecord(files: GuestFiles, error: XdpctlError | undefined): InspectedGuest {
  const record = readRecord(files.record) ?? { phase: "starting" };
  const { kernel = "", accelerator = "", hang } = record;
  // Whoever wrote the record may have ended without a word.
  const phase = error !== undefined && record.phase !== "failed" ? "ended" : record.phase;
  return {
    kernel,
    accelerator,
    phase,
    console: files.console,
    ...(hang === undefined ? {} : { hang }),
    ...(error === undefined ? {} : { error: error.message, lines: error.lines }),
  };
}

/** What the guest shows of itself, asked now. */
export function inspectGuest(at: Place): Partial<InspectedNode> {
  const files = guestFiles(at.state.name, at.node.name);
  const vm = inspectRecord(files, guestEnd(files, at.state.machines[at.node.name]?.vm?.supervisor));
  if (guestFault(at) !== undefined) return { vm, interfaces: [], routes: [] };
  const [links, v4, v6] = ask(at);
  const found = (links as Link[] | undefined) ?? [];
  const routes = [...((v4 as Route[] | undefined) ?? []), ...((v6 as Route[] | undefined) ?? [])];
  return {
    vm,
    interfaces: found.filter((one) => one.ifname !== "lo").map((one) => shownInterface(at, one)),
    routes: routes
      .filter((one) => one.gateway !== undefined)
      .map((one) => `${one.dst} via ${one.gateway} dev ${one.dev}`),
  };
}

function shownInterface({ state, node }: Place, link: Link): InspectedInterface {
  const link_ = state.spec.links.find(({ ends }) =>
    ends.some((end) => "node" in end && end.node === node.name && end.interface === link.ifname),
  );
  const other = link_?.ends.find((end) => !("node" in end && end.node === node.name && end.interface === link.ifname));
  return {
    name: link.ifname,
    ifindex: link.ifindex,
    up: link.flags.includes("UP"),
    carrier: link.flags.includes("LOWER_UP"),
    mtu: link.mtu,
    mac: link.address,
    addresses: link.addr_info
      .filter(({ local }) => !local.startsWith("fe80:"))
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    peer: other === undefined ? null : "node" in other ? `${other.node}:${other.interface}` : other.bridge,
    xdp: link.xdp === undefined ? null : { mode: MODES[link.xdp.mode] ?? "multi", id: link.xdp.prog?.id ?? 0 },
  };
}

const QUESTION = "ip -j -d address; ip -j route; ip -j -6 route";

/** The answers of `ip`, each a line of JSON. */
function ask(at: Place): unknown[] {
  const { stdout } = askGuest(at, ["sh", "-c", QUESTION]);
  return stdout.split("\n").map((line) => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      return undefined;
    }
  });
}
