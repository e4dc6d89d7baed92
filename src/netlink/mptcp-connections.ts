// SPDX-License-Identifier: MIT
import { AF_INET, AF_INET6, addressText, IPPROTO_MPTCP } from "../linux/index.js";
import { NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY } from "./constants.js";
import { attributes, type NetlinkMessage, type Part, readText, u32 } from "./message.js";
import { NetlinkSocket } from "./socket.js";

const IPPROTO_TCP = 6;
/** What `sdiag_protocol` has for protocols that do not fit in its byte. */
const WIDE_PROTOCOL = 255;
const INET_DIAG_REQ_PROTOCOL = 3;
const INET_DIAG_INFO = 2;
const INET_DIAG_ULP_INFO = 19;
const ULP_NAME = 1;
const ULP_MPTCP = 3;
const SUBFLOW = { TOKEN_LOC: 2, FLAGS: 8, ID_REM: 9, ID_LOC: 10 } as const;
const SUBFLOW_BACKUP = (1 << 4) | (1 << 5);
/** sizeof(struct inet_diag_req_v2), sizeof(struct inet_diag_msg) */
const REQUEST = 56;
const MESSAGE = 72;
const ALL_STATES = 0xfff;
const MAX_BYTES = BigInt(Number.MAX_SAFE_INTEGER);

/** enum tcp_state */
const STATES = [
  ...["unknown", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait", "closed"],
  ...["close-wait", "last-ack", "listening", "closing", "new-syn-recv", "bound"],
] as const;

interface Ends {
  readonly state: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** A TCP connection that is a part of an MPTCP connection. */
export interface MptcpSubflow extends Ends {
  /** ids of the two addresses in this connection; 0 is the first subflow's. */
  readonly localId: number;
  readonly remoteId: number;
  readonly backup: boolean;
  /** ifindex to which it is bound, or 0. */
  readonly index: number;
  /** Microseconds. */
  readonly rtt: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  /** Segments that were sent again. */
  readonly retransmits: number;
}

/** An MPTCP socket with its subflows. */
export interface MptcpConnection extends Ends {
  /** Names the connection on this side; 0 for a listener. */
  readonly token: number;
  readonly inode: number;
  /** It goes on as plain TCP: the other side, or something on the way, can't speak MPTCP. */
  readonly fallback: boolean;
  readonly subflows: readonly MptcpSubflow[];
}

/** struct inet_diag_req_v2, with the protocol as an attribute where it needs more than a byte. */
function diagRequest(family: number, protocol: number, states: number): Part {
  const request = Buffer.alloc(REQUEST);
  request[0] = family;
  request[1] = protocol > 255 ? WIDE_PROTOCOL : protocol;
  request[2] = 1 << (INET_DIAG_INFO - 1);
  request.writeUInt32LE(states, 4);
  request.fill(0xff, REQUEST - 8);
  return [request, protocol > 255 ? u32(INET_DIAG_REQ_PROTOCOL, protocol) : []];
}

function decodeEnds(data: Buffer): Ends & { index: number; inode: number } {
  const address = (at: number): string => addressText(data.subarray(at, at + (data[0] === AF_INET ? 4 : 16)));
  return {
    state: STATES[data[1] ?? 0] ?? "unknown",
    sourcePort: data.readUInt16BE(4),
    destinationPort: data.readUInt16BE(6),
    source: address(8),
    destination: address(24),
    index: data.readUInt32LE(40),
    inode: data.readUInt32LE(68),
  };
}

const count = (data: Buffer | undefined, at: number): number => {
  if (data === undefined || data.length < at + 8) return 0;
  const value = data.readBigUInt64LE(at);
  return Number(value > MAX_BYTES ? MAX_BYTES : value);
};
const number = (data: Buffer | undefined, at: number): number =>
  data === undefined || data.length < at + 4 ? 0 : data.readUInt32LE(at);

/** The subflow of an answer about a TCP socket, with the token of its connection; undefined for plain TCP. */
export function decodeSubflow(message: NetlinkMessage): { token: number; subflow: MptcpSubflow } | undefined {
  const { data } = message;
  if (data.length < MESSAGE) return undefined;
  const found = attributes(data.subarray(MESSAGE));
  const ulp = found.get(INET_DIAG_ULP_INFO);
  if (ulp === undefined) return undefined;
  const upper = attributes(ulp);
  const mptcp = upper.get(ULP_MPTCP);
  if (readText(upper.get(ULP_NAME)) !== "mptcp" || mptcp === undefined) return undefined;
  const own = attributes(mptcp);
  // struct tcp_info
  const info = found.get(INET_DIAG_INFO);
  const { inode: _, ...ends } = decodeEnds(data);
  return {
    token: number(own.get(SUBFLOW.TOKEN_LOC), 0),
    subflow: {
      ...ends,
      localId: own.get(SUBFLOW.ID_LOC)?.[0] ?? 0,
      remoteId: own.get(SUBFLOW.ID_REM)?.[0] ?? 0,
      backup: (number(own.get(SUBFLOW.FLAGS), 0) & SUBFLOW_BACKUP) !== 0,
      rtt: number(info, 68),
      bytesAcked: count(info, 120),
      bytesReceived: count(info, 128),
      retransmits: number(info, 100),
    },
  };
}

/** The connection of an answer about an MPTCP socket, without its subflows. */
export function decodeConnection(message: NetlinkMessage): Omit<MptcpConnection, "subflows"> | undefined {
  const { data } = message;
  if (data.length < MESSAGE) return undefined;
  // struct mptcp_info
  const info = attributes(data.subarray(MESSAGE)).get(INET_DIAG_INFO);
  const { index: _, ...ends } = decodeEnds(data);
  return { ...ends, token: number(info, 12), fallback: (number(info, 8) & 1) !== 0 };
}

/**
 * The MPTCP sockets of the calling thread's network namespace with their subflows, by sock_diag(7) (Linux 5.10). Which
 * TCP connections are subflows is told to CAP_NET_ADMIN only: others get connections without.
 */
export function mptcpConnections(): MptcpConnection[] {
  const socket = new NetlinkSocket(NETLINK_SOCK_DIAG, { strict: false });
  try {
    const dump = <T>(family: number, protocol: number, decode: (message: NetlinkMessage) => T | undefined): T[] => {
      let found: T[] = [];
      socket.dump(
        SOCK_DIAG_BY_FAMILY,
        diagRequest(family, protocol, ALL_STATES),
        `listing the ${protocol === IPPROTO_TCP ? "TCP" : "MPTCP"} sockets`,
        (message) => {
          const one = decode(message);
          if (one !== undefined) found.push(one);
        },
        () => {
          found = [];
        },
      );
      return found;
    };
    const families = [AF_INET, AF_INET6];
    const connections = families.flatMap((family) => dump(family, IPPROTO_MPTCP, decodeConnection));
    // Without any, the machine's TCP sockets, which may be many, need not be read.
    if (connections.length === 0) return [];
    const subflows = families.flatMap((family) => dump(family, IPPROTO_TCP, decodeSubflow));
    return connections.map((one) => ({
      ...one,
      subflows: subflows.filter(({ token }) => token !== 0 && token === one.token).map(({ subflow }) => subflow),
    }));
  } finally {
    socket.close();
  }
}

const LISTEN = 10;

/** The ports on which TCP sockets of the calling thread's network namespace listen. */
export function listeningPorts(): Set<number> {
  const socket = new NetlinkSocket(NETLINK_SOCK_DIAG, { strict: false });
  const found = new Set<number>();
  try {
    for (const family of [AF_INET, AF_INET6]) {
      const add = ({ data }: NetlinkMessage): void => {
        if (data.length >= MESSAGE) found.add(data.readUInt16BE(4));
      };
      const body = diagRequest(family, IPPROTO_TCP, 1 << LISTEN);
      socket.dump(SOCK_DIAG_BY_FAMILY, body, "listing the TCP sockets that listen", add, () => {});
    }
  } finally {
    socket.close();
  }
  return found;
}
