// SPDX-License-Identifier: MIT
import type { Ifindex } from "../linux/index.js";
import {
  IFF_LOWER_UP,
  IFF_UP,
  IFLA,
  IFLA_BR_AGEING_TIME,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_XDP,
  VETH_INFO_PEER,
} from "./constants.js";
import {
  attribute,
  attributes,
  type NetlinkMessage,
  nested,
  type Part,
  readText,
  readU32,
  text,
  u8,
  u32,
} from "./message.js";

export type XdpAttachMode = "none" | "native" | "generic" | "offloaded" | "multi";

/** What IFLA_XDP tells about a link. */
export interface LinkXdp {
  readonly mode: XdpAttachMode;
  /** The program's id; with `multi`, the native one's. 0 without a program. */
  readonly progId: number;
  readonly nativeId: number;
  readonly genericId: number;
  readonly offloadedId: number;
}

export interface Link {
  readonly index: Ifindex;
  readonly name: string;
  /** IFF_UP: it was set up. */
  readonly up: boolean;
  /** IFF_LOWER_UP: the other end is there and up. */
  readonly carrier: boolean;
  readonly mtu: number;
  /** The hardware address, `02:00:00:00:00:01`; empty where there is none. */
  readonly address: string;
  /** `veth`, `bridge`, …; empty for devices of drivers without a kind. */
  readonly kind: string;
  /** The bridge or bond that it belongs to; 0 for none. */
  readonly master: number;
  /** The index of the other end (in its own namespace), or of the lower device; 0 for none. */
  readonly peer: number;
  /** Queues that it was made with, to receive or to send by, whichever are more; it may use fewer of them. */
  readonly queues: number;
  readonly xdp: LinkXdp;
}

const MODES: readonly XdpAttachMode[] = ["none", "native", "generic", "offloaded", "multi"];
const NO_XDP: LinkXdp = { mode: "none", progId: 0, nativeId: 0, genericId: 0, offloadedId: 0 };
/** sizeof(struct ifinfomsg) */
const HEADER = 16;

function decodeXdp(data: Buffer | undefined): LinkXdp {
  if (data === undefined) return NO_XDP;
  const found = attributes(data);
  const mode = MODES[found.get(IFLA_XDP.ATTACHED)?.[0] ?? 0] ?? "none";
  if (mode === "none") return NO_XDP;
  const progId = readU32(found.get(IFLA_XDP.PROG_ID));
  const only = (wanted: XdpAttachMode, type: number): number =>
    readU32(found.get(type)) || (mode === wanted ? progId : 0);
  const nativeId = only("native", IFLA_XDP.DRV_ID);
  const genericId = only("generic", IFLA_XDP.SKB_ID);
  const offloadedId = only("offloaded", IFLA_XDP.HW_ID);
  return { mode, progId: progId || nativeId || genericId || offloadedId, nativeId, genericId, offloadedId };
}

/** A link of an RTM_NEWLINK or RTM_DELLINK message; undefined for messages of another family, such as bridge ports'. */
export function decodeLink(message: NetlinkMessage): Link | undefined {
  const { data } = message;
  if (data.length < HEADER || data[0] !== 0) return undefined;
  const flags = data.readUInt32LE(8);
  const found = attributes(data.subarray(HEADER));
  const info = found.get(IFLA.LINKINFO);
  return {
    index: data.readInt32LE(4) as Ifindex,
    name: readText(found.get(IFLA.IFNAME)),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    mtu: readU32(found.get(IFLA.MTU)),
    address: hardwareText(found.get(IFLA.ADDRESS)),
    kind: info === undefined ? "" : readText(attributes(info).get(IFLA_INFO_KIND)),
    master: readU32(found.get(IFLA.MASTER)),
    peer: readU32(found.get(IFLA.LINK)),
    queues: Math.max(1, readU32(found.get(IFLA.NUM_RX_QUEUES)), readU32(found.get(IFLA.NUM_TX_QUEUES))),
    xdp: decodeXdp(found.get(IFLA.XDP)),
  };
}

function hardwareText(data: Buffer | undefined): string {
  return data === undefined ? "" : [...data].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The six bytes of `02:00:00:00:00:01`, or undefined for anything else. */
export function hardwareBytes(address: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(address)) return undefined;
  return Uint8Array.from(address.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** struct ifinfomsg; `flags` are set where `change` has a bit. */
export function linkHeader(index = 0, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

/** What may be set on a link, new or old. */
export interface LinkSettings {
  name?: string;
  up?: boolean;
  mtu?: number;
  /** `02:00:00:00:00:01` */
  address?: string;
  /** ifindex of a bridge; 0 takes it out. */
  master?: number;
  /** Descriptor of the network namespace to create it in, or to move it to. */
  netns?: number;
}

export function settingParts(settings: LinkSettings): Part[] {
  const parts: Part[] = [];
  if (settings.name !== undefined) parts.push(text(IFLA.IFNAME, settings.name));
  if (settings.mtu !== undefined) parts.push(u32(IFLA.MTU, settings.mtu));
  const hardware = settings.address === undefined ? undefined : hardwareBytes(settings.address);
  if (hardware !== undefined) parts.push(attribute(IFLA.ADDRESS, hardware));
  if (settings.master !== undefined) parts.push(u32(IFLA.MASTER, settings.master));
  if (settings.netns !== undefined) parts.push(u32(IFLA.NET_NS_FD, settings.netns));
  return parts;
}

function upFlags(settings: LinkSettings): [number, number] {
  return settings.up === undefined ? [0, 0] : [settings.up ? IFF_UP : 0, IFF_UP];
}

/** Body of RTM_NEWLINK that changes the link `index`. */
export function changeLinkBody(index: number, settings: LinkSettings): Part {
  return [linkHeader(index, ...upFlags(settings)), ...settingParts(settings)];
}

/** One end of a veth pair to be made. */
export interface VethEnd extends LinkSettings {
  name: string;
  /** The ifindex it shall have; the kernel chooses without it. */
  index?: number;
}

/** The other end of a veth pair: the kernel makes it first, and an end without its peer can't be up. */
export type VethPeer = Omit<VethEnd, "up">;

/** Body of RTM_NEWLINK that makes a veth pair, each end at once in its own namespace. */
export function vethBody(a: VethEnd, b: VethPeer): Part {
  const peer = nested(VETH_INFO_PEER, linkHeader(b.index), settingParts(b));
  return [
    linkHeader(a.index, ...upFlags(a)),
    settingParts(a),
    nested(IFLA.LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, peer)),
  ];
}

export interface BridgeSettings extends LinkSettings {
  name: string;
  index?: number;
  /** IGMP and MLD snooping; the kernel's default is on. */
  multicastSnooping?: boolean;
  /** Whether it remembers on which port an address is; the kernel's default is yes. */
  learning?: boolean;
}

/** Body of RTM_NEWLINK that makes a bridge (without spanning tree: its ports forward at once). */
export function bridgeBody(bridge: BridgeSettings): Part {
  const { multicastSnooping, learning } = bridge;
  const data = multicastSnooping === undefined ? [] : [u8(IFLA_BR_MCAST_SNOOPING, multicastSnooping ? 1 : 0)];
  // What it learns is forgotten at once.
  if (learning === false) data.push(u32(IFLA_BR_AGEING_TIME, 0));
  return [
    linkHeader(bridge.index, ...upFlags(bridge)),
    settingParts(bridge),
    nested(IFLA.LINKINFO, text(IFLA_INFO_KIND, "bridge"), nested(IFLA_INFO_DATA, data)),
  ];
}

/** Body of RTM_SETLINK-like RTM_NEWLINK with IFLA_XDP; fd -1 detaches. */
export function xdpBody(index: number, fd: number, flags: number, expectedFd?: number): Part {
  const parts = [u32(IFLA_XDP.FD, fd), u32(IFLA_XDP.FLAGS, flags)];
  if (expectedFd !== undefined) parts.push(u32(IFLA_XDP.EXPECTED_FD, expectedFd));
  return [linkHeader(index), nested(IFLA.XDP, parts)];
}
