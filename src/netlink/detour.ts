// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressBytes, errno, hasCapability } from "../linux/index.js";
import { NETLINK_NETFILTER, NLM_F_CREATE, NLM_F_EXCL } from "./constants.js";
import { attribute, nested, type Part, text, u32be } from "./message.js";
import { expression, NEWCHAIN, NEWRULE, NEWTABLE, NLM_F_APPEND, transaction } from "./nftables.js";
import { NetlinkSocket } from "./socket.js";

const NFPROTO_IPV4 = 2;
/** NFT_TABLE_F_OWNER (Linux 5.12): the table goes with the socket that made it, whatever ends the process. */
const TABLE_OWNER = 2;
const [PRE_ROUTING, POST_ROUTING] = [0, 4];
const [DSTNAT_PRIORITY, SRCNAT_PRIORITY] = [-100, 100];
const [NETWORK_HEADER, TRANSPORT_HEADER] = [1, 2];
const META_L4PROTO = 16;
const CT_STATUS = 2;
const IPS_DST_NAT = 1 << 5;
const FIB_RESULT_ADDRTYPE = 3;
const FIB_DADDR = 2;
const RTN_LOCAL = 2;
const NAT_DNAT = 1;
const [EQUAL, NOT_EQUAL] = [0, 1];
const TCP = 6;

/** A way through this host: what `client` sends to its TCP port `port` goes on to the remote, under this host's address. */
export interface Detour {
  /** IPv4, as all addresses here. */
  readonly client: string;
  readonly remote: string;
  readonly remotePort: number;
  readonly port: number;
}

function ipv4(address: string): Uint8Array {
  const bytes = addressBytes(address, 4);
  if (bytes === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${address}\` is not an IPv4 address`);
  return bytes;
}

const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const compare = (data: Uint8Array, op = EQUAL): Part =>
  expression("cmp", u32be(1, 1), u32be(2, op ?? 0), nested(3, attribute(1, data)));
const payload = (base: number | undefined, offset: number, data: Uint8Array): Part => [
  expression("payload", u32be(1, 1), u32be(2, base ?? 0), u32be(3, offset), u32be(4, data.length)),
  compare(data),
];
const isTcp: Part = [expression("meta", u32be(2, META_L4PROTO), u32be(1, 1)), compare(Uint8Array.of(TCP))];
const immediate = (register: number, data: Uint8Array): Part =>
  expression("immediate", u32be(1, register), nested(2, attribute(1, data)));

/** Leaves of the four bytes in register 1 those that `mask` has. */
const masked = (mask: Uint8Array): Part =>
  expression(
    "bitwise",
    u32be(1, 1),
    u32be(2, 1),
    u32be(3, 4),
    nested(4, attribute(1, mask)),
    nested(5, attribute(1, Buffer.alloc(4))),
  );

/** `ip saddr CLIENT fib daddr type local tcp dport PORT dnat to REMOTE:PORT` */
function destinationRule({ client, remote, remotePort, port }: Detour): Part {
  const local = Buffer.alloc(4);
  local.writeUInt32LE(RTN_LOCAL);
  return [
    payload(NETWORK_HEADER, 12, ipv4(client)),
    // A host that also routes for the client must leave alone what only passes.
    expression("fib", u32be(1, 1), u32be(2, FIB_RESULT_ADDRTYPE), u32be(3, FIB_DADDR)),
    compare(local),
    isTcp,
    payload(TRANSPORT_HEADER, 2, be16(port)),
    immediate(1, ipv4(remote)),
    immediate(2, be16(remotePort)),
    expression("nat", u32be(1, NAT_DNAT), u32be(2, NFPROTO_IPV4), u32be(3, 1), u32be(5, 2)),
  ];
}

/** `ip saddr CLIENT ip daddr REMOTE tcp dport PORT ct status dnat masquerade` */
function sourceRule({ client, remote, remotePort }: Detour): Part {
  const status = Buffer.alloc(4);
  status.writeUInt32LE(IPS_DST_NAT);
  const none = Buffer.alloc(4);
  return [
    payload(NETWORK_HEADER, 12, ipv4(client)),
    payload(NETWORK_HEADER, 16, ipv4(remote)),
    isTcp,
    payload(TRANSPORT_HEADER, 2, be16(remotePort)),
    expression("ct", u32be(1, 1), u32be(2, CT_STATUS)),
    masked(status),
    compare(none, NOT_EQUAL),
    expression("masq"),
  ];
}

/** `ip saddr NETWORK masquerade` */
function networkRule(network: string, prefix: number): Part {
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE((0xffffffff << (32 - prefix)) >>> 0);
  return [
    expression("payload", u32be(1, 1), u32be(2, NETWORK_HEADER), u32be(3, 12), u32be(4, 4)),
    masked(mask),
    compare(ipv4(network)),
    expression("masq"),
  ];
}

/**
 * Network address translation for detours, in an nftables table of its own in the calling thread's network namespace. The
 * table goes when this is closed, and when the process ends in whatever way. Linux 5.12, CAP_NET_ADMIN. Errors:
 * XDPCTL_E_OCCUPIED where another process has that table, XDPCTL_E_NETLINK, XDPCTL_E_PERMISSION.
 */
export class DetourNat implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER, { strict: false });
  readonly #table: string;

  constructor(table = "xdpctl_detour") {
    this.#table = table;
    const chain = (name: string, hook: number | undefined, priority: number | undefined): Part => [
      ...[text(1, table), text(3, name)],
      ...[nested(4, u32be(1, hook ?? 0), u32be(2, priority ?? 0)), text(7, "nat")],
    ];
    try {
      this.#execute("making the table of the detours", [
        [NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, [text(1, table), u32be(2, TABLE_OWNER)]],
        [NEWCHAIN, NLM_F_CREATE, chain("prerouting", PRE_ROUTING, DSTNAT_PRIORITY)],
        [NEWCHAIN, NLM_F_CREATE, chain("postrouting", POST_ROUTING, SRCNAT_PRIORITY)],
      ]);
    } catch (error) {
      this.close();
      // The table of another owner is out of reach: EPERM also for who may do all else.
      const taken: (number | undefined)[] = [errno.EEXIST, hasCapability("CAP_NET_ADMIN") ? errno.EPERM : undefined];
      if (!XdpctlError.is(error) || error.errno === undefined || !taken.includes(error.errno)) throw error;
      throw new XdpctlError("XDPCTL_E_OCCUPIED", `there is a table ${table} in this namespace already`, {
        remedy: "a detour server runs here: end it first",
        cause: error,
      });
    }
  }

  /** Adds the two rules of a detour, both or none. Connections that are there are not touched. */
  add(detour: Detour): void {
    const { client, remote, remotePort } = detour;
    this.#execute(`adding the detour of ${client} to ${remote} port ${remotePort}`, [
      this.#rule("prerouting", destinationRule(detour)),
      this.#rule("postrouting", sourceRule(detour)),
    ]);
  }

  /** Gives what comes from an IPv4 network, of `prefix` bits, this host's address: for the clients of a VPN. */
  addNetwork(network: string, prefix: number): void {
    this.#execute(`masquerading ${network}/${prefix}`, [this.#rule("postrouting", networkRule(network, prefix))]);
  }

  #rule(chain: string, body: Part): [number, number, Part] {
    return [NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [text(1, this.#table), text(2, chain), nested(4, body)]];
  }

  #execute(what: string, list: readonly (readonly [type: number, flags: number, body: Part])[]): void {
    this.#socket.transact(transaction(NFPROTO_IPV4, list), what);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
