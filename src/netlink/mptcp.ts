// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { AF_INET, AF_INET6, addressText } from "../linux/index.js";
import { parseAddress } from "./address.js";
import { type GenericFamily, type GenericMessage, GenericSocket } from "./generic.js";
import { attribute, attributes, nested, type Part, readU32, u16, u32, u8 } from "./message.js";

/** MPTCP_PM_CMD_* of linux/mptcp_pm.h. */
const CMD = {
  ADD_ADDR: 1,
  DEL_ADDR: 2,
  GET_ADDR: 3,
  FLUSH_ADDRS: 4,
  SET_LIMITS: 5,
  GET_LIMITS: 6,
  SET_FLAGS: 7,
  SUBFLOW_CREATE: 10,
  SUBFLOW_DESTROY: 11,
} as const;
const ATTR = { ADDR: 1, RCV_ADD_ADDRS: 2, SUBFLOWS: 3, TOKEN: 4, ADDR_REMOTE: 6 } as const;
const ADDR = { FAMILY: 1, ID: 2, ADDR4: 3, ADDR6: 4, PORT: 5, FLAGS: 6, IF_IDX: 7 } as const;

/** MPTCP_PM_ADDR_FLAG_*, in the order of their bits. `laminar` is Linux 6.18, `implicit` is the kernel's own. */
const FLAGS = ["signal", "subflow", "backup", "fullmesh", "implicit", "laminar"] as const;

/**
 * How an endpoint is used. `signal`: announced to the peer. `subflow`: opens a subflow of its own. `fullmesh`: one to each
 * address of the peer. `backup`: carries data only while no other does. `laminar`: a source for subflows to what the peer
 * announces.
 */
export type MptcpFlag = (typeof FLAGS)[number];

/** An address that the path manager of a network namespace may use. */
export interface MptcpEndpoint {
  /** 1 to 255, the same in all connections. */
  readonly id: number;
  readonly address: string;
  /** 0: that of the connection. */
  readonly port: number;
  /** ifindex, or 0. */
  readonly index: number;
  readonly flags: readonly MptcpFlag[];
}

export interface MptcpEndpointSpec {
  /** IPv4 or IPv6. */
  address: string;
  /** 1 to 255; the kernel chooses without it. */
  id?: number;
  /** With `signal` only: the port that is announced. */
  port?: number;
  /** ifindex of the interface that its subflows leave by. */
  index?: number;
  flags: readonly MptcpFlag[];
}

/** How many subflows a connection may have beside its first, and how many announced addresses it uses; 0 to 8. */
export interface MptcpLimits {
  readonly subflows: number;
  readonly accepted: number;
}

/** One end of a subflow. */
export interface MptcpAddress {
  address: string;
  /** 0: any, or that of the connection. */
  port?: number;
  /** The address's id in this connection. */
  id?: number;
  /** ifindex of the interface that a local address is of. */
  index?: number;
}

/** The number of some flags, as messages carry it. */
const flagBits = (flags: readonly MptcpFlag[]): number =>
  flags.reduce((sum, one) => sum | (1 << FLAGS.indexOf(one)), 0);

const flagNames = (bits: number): MptcpFlag[] => FLAGS.filter((_, i) => (bits & (1 << i)) !== 0);

function addressParts(address: string): Part[] {
  const { family, bytes } = parseAddress(address);
  return family === 4
    ? [u16(ADDR.FAMILY, AF_INET), attribute(ADDR.ADDR4, bytes)]
    : [u16(ADDR.FAMILY, AF_INET6), attribute(ADDR.ADDR6, bytes)];
}

function inRange(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return;
  throw new XdpctlError("XDPCTL_E_USAGE", `${name} is ${min} to ${max}, not ${value}`);
}

/** The attribute that describes an endpoint or an end of a subflow. Ports are in host order here. */
function addressPart(type: number, one: Partial<MptcpEndpointSpec>): Part {
  inRange("the id of an MPTCP address", one.id, 0, 255);
  inRange("a port", one.port, 0, 65_535);
  return nested(
    type,
    one.address === undefined ? [] : addressParts(one.address),
    one.id === undefined ? [] : u8(ADDR.ID, one.id),
    one.port === undefined || one.port === 0 ? [] : u16(ADDR.PORT, one.port),
    one.flags === undefined ? [] : u32(ADDR.FLAGS, flagBits(one.flags)),
    one.index === undefined || one.index === 0 ? [] : u32(ADDR.IF_IDX, one.index),
  );
}

const readU16 = (data: Buffer | undefined): number =>
  data !== undefined && data.length >= 2 ? data.readUInt16LE(0) : 0;

/** The endpoint of an answer; undefined for a message without an address. */
export function decodeEndpoint(message: GenericMessage): MptcpEndpoint | undefined {
  const data = message.attributes.find((one) => one.type === ATTR.ADDR)?.data;
  if (data === undefined) return undefined;
  const found = attributes(data);
  const bytes = found.get(ADDR.ADDR4) ?? found.get(ADDR.ADDR6);
  if (bytes?.length !== 4 && bytes?.length !== 16) return undefined;
  return {
    id: found.get(ADDR.ID)?.[0] ?? 0,
    address: addressText(bytes),
    port: readU16(found.get(ADDR.PORT)),
    index: readU32(found.get(ADDR.IF_IDX)),
    flags: flagNames(readU32(found.get(ADDR.FLAGS))),
  };
}

const MAX_LIMIT = 8;

/**
 * The path manager of MPTCP in the network namespace in which it is made (linux/mptcp_pm.h, Linux 5.6): limits, endpoints,
 * and, for connections under `net.mptcp.path_manager=userspace`, subflows by hand (5.19). Changes need CAP_NET_ADMIN.
 * Errors: XDPCTL_E_NOT_SUPPORTED where the kernel has no MPTCP, XDPCTL_E_NETLINK with the kernel's words,
 * XDPCTL_E_PERMISSION, XDPCTL_E_USAGE.
 */
export class MptcpSocket implements Disposable {
  readonly #socket = new GenericSocket();
  readonly #family: GenericFamily;

  constructor() {
    try {
      this.#family = mptcpFamily(this.#socket);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** The generic-netlink family, for `GenericMonitor`. */
  get family(): GenericFamily {
    return this.#family;
  }

  limits(): MptcpLimits {
    const what = "reading the limits of MPTCP";
    const [answer] = this.#socket.request(this.#family, CMD.GET_LIMITS, [], what);
    const number = (type: number): number => readU32(answer?.attributes.find((one) => one.type === type)?.data);
    return { subflows: number(ATTR.SUBFLOWS), accepted: number(ATTR.RCV_ADD_ADDRS) };
  }

  /** Sets what is given; 0 to 8 each. */
  setLimits(limits: Partial<MptcpLimits>): void {
    for (const [name, value] of Object.entries(limits)) inRange(`the limit ${name} of MPTCP`, value, 0, MAX_LIMIT);
    const now = { ...this.limits(), ...limits };
    const body = [u32(ATTR.RCV_ADD_ADDRS, now.accepted), u32(ATTR.SUBFLOWS, now.subflows)];
    this.#socket.request(this.#family, CMD.SET_LIMITS, body, "setting the limits of MPTCP");
  }

  endpoints(): MptcpEndpoint[] {
    let found: MptcpEndpoint[] = [];
    this.#socket.dump(
      this.#family,
      CMD.GET_ADDR,
      [],
      (message) => {
        const one = decodeEndpoint(message);
        if (one !== undefined) found.push(one);
      },
      () => {
        found = [];
      },
      "listing the endpoints of MPTCP",
    );
    return found;
  }

  addEndpoint(spec: MptcpEndpointSpec): void {
    const body = addressPart(ATTR.ADDR, spec);
    this.#socket.request(this.#family, CMD.ADD_ADDR, body, `adding the MPTCP endpoint ${spec.address}`);
  }

  /** Deletes an endpoint; the subflows that it opened are closed, and the peer is told. */
  deleteEndpoint(id: number): void {
    this.#socket.request(
      this.#family,
      CMD.DEL_ADDR,
      addressPart(ATTR.ADDR, { id }),
      `deleting the MPTCP endpoint ${id}`,
    );
  }

  flushEndpoints(): void {
    this.#socket.request(this.#family, CMD.FLUSH_ADDRS, [], "deleting the MPTCP endpoints");
  }

  /** Makes an endpoint a backup or not, and of its connections, too. `fullmesh` can be changed as well (Linux 5.18). */
  setFlags(id: number, flags: readonly MptcpFlag[]): void {
    const body = addressPart(ATTR.ADDR, { id, flags });
    this.#socket.request(this.#family, CMD.SET_FLAGS, body, `changing the flags of the MPTCP endpoint ${id}`);
  }

  /**
   * Opens a subflow of the connection `token` from `local` to `remote`. The connection must be under the user-space path
   * manager; `local.id` (1 to 255) must be unused or that address's.
   */
  createSubflow(token: number, local: MptcpAddress, remote: MptcpAddress): void {
    this.#subflow(CMD.SUBFLOW_CREATE, "opening", token, local, remote);
  }

  /** Closes a subflow; all of its addresses and ports must be given. */
  destroySubflow(token: number, local: MptcpAddress, remote: MptcpAddress): void {
    this.#subflow(CMD.SUBFLOW_DESTROY, "closing", token, local, remote);
  }

  #subflow(command: number, verb: string, token: number, local: MptcpAddress, remote: MptcpAddress): void {
    const body = [u32(ATTR.TOKEN, token), addressPart(ATTR.ADDR, local), addressPart(ATTR.ADDR_REMOTE, remote)];
    const where = `from ${local.address} to ${remote.address} port ${remote.port ?? 0}`;
    this.#socket.request(this.#family, command, body, `${verb} a subflow ${where}`);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function mptcpFamily(socket: GenericSocket): GenericFamily {
  try {
    return socket.family("mptcp_pm");
  } catch (cause) {
    if (!XdpctlError.is(cause, "XDPCTL_E_NO_FAMILY")) throw cause;
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "this kernel has no MPTCP", {
      remedy: "use one with CONFIG_MPTCP, as Debian's have",
      cause,
    });
  }
}
