// SPDX-License-Identifier: MIT
import type { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { interfaceName } from "../linux/index.js";
import type { PacketFilter } from "../policy/index.js";
import type { Attachment, Instance } from "../xdp/index.js";
import { encodeRule } from "../xsk/index.js";
import type { PacketPort } from "./packet-port.js";

/** As in bpf/guard.bpf.c. */
export const MOST_REDIRECTS = 32;
const MOST_SOCKETS = 256;
/**
 * sizeof(struct guard_redirect): a rule, the interface, its first socket, how many, what becomes of frames that don't fit, and the
 * mark of what was passed on.
 */
const SIZE = 104;
const RULE = 72;
/** The kernel ends a batch of a queue (64 frames) in less. */
const SETTLE_MS = 1;
const XDP_DROP = 1;
const XDP_PASS = 2;

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function nameOf(ifindex: number): string {
  return interfaceName(ifindex) ?? `interface ${ifindex}`;
}

/** An interface whose packets policies ask for. */
export interface PortGroup {
  readonly ifindex: number;
  /** Where in `xsks` its sockets begin. */
  readonly first: number;
  readonly ports: readonly PacketPort[];
  /** In generic mode: by what the program knows frames that it has given away before. */
  readonly mark: Uint8Array | undefined;
}

/**
 * The maps by which a program gives packets to policies; undefined where it has none. A guard has a list of what they ask for;
 * somebody's own program decides by itself, and has sockets by the number of the queue.
 */
export function redirectMaps({ maps }: Instance): { redirects: BpfMap | undefined; xsks: BpfMap } | undefined {
  const { redirects, xsks } = maps;
  if (xsks === undefined || xsks.info.type !== "xskmap") return undefined;
  if (redirects !== undefined && redirects.info.valueSize !== SIZE) return undefined;
  return { redirects, xsks };
}

export function encodeRedirect(filter: PacketFilter, group: PortGroup): Buffer {
  const { protocol, port, sourcePort, from, to } = filter;
  const bytes = Buffer.alloc(SIZE);
  bytes.set(
    encodeRule({
      ...(protocol === undefined ? {} : { protocol }),
      ...(port === undefined ? {} : { port }),
      ...(sourcePort === undefined ? {} : { sourcePort }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    }),
  );
  bytes.writeUInt32LE(group.ifindex, RULE);
  bytes.writeUInt32LE(group.first, RULE + 4);
  bytes.writeUInt32LE(group.ports.length, RULE + 8);
  bytes.writeUInt32LE(filter.onError === "drop" ? XDP_DROP : XDP_PASS, RULE + 12);
  if (group.mark !== undefined) bytes.set(group.mark, RULE + 16);
  return bytes;
}

/** Writes a guard's list: rules first come first, and an end behind the last. */
export function writeRedirects(map: BpfMap, list: readonly Buffer[]): void {
  for (const [i, entry] of list.entries()) map.setBytes(u32(i), entry);
  if (list.length < MOST_REDIRECTS) map.setBytes(u32(list.length), Buffer.alloc(SIZE));
}

/** Puts a group's sockets into a program's map from `first` on; false where not all of them fit. */
export function writeSockets(map: BpfMap, group: PortGroup, first: number): boolean {
  const room = map.info.maxEntries - first;
  for (const [queue, port] of group.ports.slice(0, room).entries())
    map.setBytes(u32(first + queue), u32(port.socket.fd));
  return group.ports.length <= room;
}

/**
 * Takes a group's sockets out of the programs' maps: what would go to them goes on into the network stack.
 * What the kernel was at meanwhile is in the RX rings when this returns.
 */
export function removeSockets(all: readonly Attachment[], group: PortGroup): void {
  for (const { ifindex, instance } of all) {
    const maps = redirectMaps(instance);
    const own = maps?.redirects === undefined;
    if (maps === undefined || (own && ifindex !== group.ifindex)) continue;
    const first = own ? 0 : group.first;
    const room = maps.xsks.info.maxEntries - first;
    for (const queue of group.ports.slice(0, room).keys()) maps.xsks.deleteBytes(u32(first + queue));
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLE_MS);
}

/** Where `n` sockets find room in a guard's map. */
export function roomFor(groups: Iterable<PortGroup>, n: number): number {
  let first = 0;
  for (const group of [...groups].sort((a, b) => a.first - b.first)) {
    if (group.first - first >= n) break;
    first = group.first + group.ports.length;
  }
  if (first + n > MOST_SOCKETS)
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `policies see the packets of ${MOST_SOCKETS} queues at the most`);
  return first;
}

/** Why packets of somebody's own program can't be had. */
export function obstacleTo(held: Attachment, all: readonly Attachment[]): string | undefined {
  if (held.mode !== "native")
    return "packet hooks need a program of your own in native mode: in generic mode it would see what is passed on again";
  const first = all.find(({ instance }) => instance === held.instance);
  if (first === held) return undefined;
  return `its program's map xsks is that of ${first?.interface}, too: load it for each of them`;
}
