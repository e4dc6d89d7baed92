// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import { NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST } from "./constants.js";
import { attribute, message, nested, type Part, text, u32be } from "./message.js";
import { NetlinkSocket } from "./socket.js";

const NFNL_SUBSYS_NFTABLES = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
export const NEWTABLE = 0;
const GETTABLE = 1;
const DELTABLE = 2;
export const NEWCHAIN = 3;
export const NEWRULE = 6;
export const NLM_F_APPEND = 0x800;
const NFPROTO_INET = 1;
const NF_INET_POST_ROUTING = 4;
const SRCNAT_PRIORITY = 100;
const META_OIFNAME = 7;
const REGISTER_1 = 1;
const CMP_EQ = 0;
const IFNAMSIZ = 16;

/** struct nfgenmsg: family, version 0, and res_id in network order. */
function header(family: number, resource = 0): Buffer {
  const bytes = Buffer.alloc(4);
  bytes[0] = family;
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

/** One expression of a rule: NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }. */
export function expression(name: string, ...data: Part[]): Part {
  return nested(1, text(1, name), nested(2, ...data));
}

function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(IFNAMSIZ);
  bytes.write(name);
  return bytes;
}

/** One transaction of nf_tables in tables of one family: all of it happens, or nothing. */
export function transaction(
  family: number,
  list: readonly (readonly [type: number, flags: number, body: Part])[],
): Buffer {
  let seq = 0;
  const edge = (type: number): Buffer => message(type, NLM_F_REQUEST, ++seq, header(0, NFNL_SUBSYS_NFTABLES));
  const begin = edge(BATCH_BEGIN);
  const pieces = list.map(([type, flags, body]) =>
    message((NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_REQUEST | NLM_F_ACK | flags, ++seq, [header(family), body]),
  );
  return Buffer.concat([begin, ...pieces, edge(BATCH_END)]);
}

export interface MasqueradeSpec {
  /** The nftables table (family inet) that holds the rules; it is replaced as a whole. */
  table: string;
  /** Interfaces behind which senders hide behind the interface's own address. None: the table goes. */
  interfaces: readonly string[];
  /** The namespace is new and has no such table: saves the kernel's wait for an old one to go. */
  fresh?: boolean;
}

/** The messages of one transaction that replaces the table by `oifname X masquerade` rules. */
export function masqueradeTransaction(spec: MasqueradeSpec): Buffer {
  const list: [number, number, Part][] = [];
  if (spec.fresh !== true) {
    // Made and deleted first: then the deletion can't fail, and what follows starts empty.
    list.push([NEWTABLE, NLM_F_CREATE, text(1, spec.table)], [DELTABLE, 0, text(1, spec.table)]);
  }
  if (spec.interfaces.length > 0) {
    const hook = nested(4, u32be(1, NF_INET_POST_ROUTING), u32be(2, SRCNAT_PRIORITY));
    list.push(
      [NEWTABLE, NLM_F_CREATE, text(1, spec.table)],
      [NEWCHAIN, NLM_F_CREATE, [text(1, spec.table), text(3, "postrouting"), hook, text(7, "nat")]],
    );
    for (const name of spec.interfaces) {
      const expressions = nested(
        4,
        expression("meta", u32be(2, META_OIFNAME), u32be(1, REGISTER_1)),
        expression("cmp", u32be(1, REGISTER_1), u32be(2, CMP_EQ), nested(3, attribute(1, interfaceName(name)))),
        expression("masq"),
      );
      list.push([NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [text(1, spec.table), text(2, "postrouting"), expressions]]);
    }
  }
  return transaction(NFPROTO_INET, list);
}

/**
 * Masquerades, for IPv4 and IPv6, what leaves through the given interfaces of the calling thread's network namespace:
 * one nf_tables transaction, no `nft` process. Linux 5.2 (NAT in the inet family). Errors: XDPCTL_E_NETLINK.
 */
export function setMasquerade(spec: MasqueradeSpec): void {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, { strict: false });
  try {
    const what =
      spec.interfaces.length === 0 ? "ending masquerading" : `masquerading behind ${spec.interfaces.join(", ")}`;
    socket.transact(masqueradeTransaction(spec), what);
  } finally {
    socket.close();
  }
}

/** Whether the calling thread's network namespace has that table. */
export function hasMasquerade(table: string): boolean {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, { strict: false });
  const what = `reading the nftables table ${table}`;
  try {
    socket.request({
      type: (NFNL_SUBSYS_NFTABLES << 8) | GETTABLE,
      flags: 0,
      body: [header(NFPROTO_INET), text(1, table)],
      what,
    });
    return true;
  } catch (error) {
    if (XdpctlError.is(error) && error.errno === errno.ENOENT) return false;
    throw error;
  } finally {
    socket.close();
  }
}
