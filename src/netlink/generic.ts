// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import { NETLINK_GENERIC } from "./constants.js";
import { attributes, eachAttribute, type NetlinkMessage, type Part, readText, text, u16, u32 } from "./message.js";
import { NetlinkSocket } from "./socket.js";

const GENL_ID_CTRL = 0x10;
const CTRL_CMD = { GETFAMILY: 3, GETPOLICY: 10 } as const;
const CTRL = {
  ID: 1,
  NAME: 2,
  VERSION: 3,
  HEADER_SIZE: 4,
  MAX: 5,
  OPS: 6,
  GROUPS: 7,
  POLICY: 8,
  OP_POLICY: 9,
} as const;
const POLICY_DO = 1;
const GENL_HEADER = 4;
/** GENL_NAMSIZ without the NUL: bytes of a family's or group's name. */
const LONGEST_NAME = 15;

/** GENL_ADMIN_PERM … GENL_UNS_ADMIN_PERM of linux/genetlink.h. */
const OPERATION_FLAGS: readonly [number, string][] = [
  [2, "do"],
  [4, "dump"],
  [1, "admin"],
  [16, "namespace-admin"],
];

/** enum netlink_attribute_type of linux/netlink.h. */
const ATTRIBUTE_TYPES = [
  ...["invalid", "flag", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "binary", "string", "nul-string"],
  ...["nested", "nested-array", "bitfield32", "sint", "uint"],
] as const;

export type GenericAttributeType = (typeof ATTRIBUTE_TYPES)[number];

export interface GenericCommand {
  readonly id: number;
  /** What it can do (`do`, `dump`) and what it takes (`admin`: CAP_NET_ADMIN of the host, `namespace-admin`). */
  readonly flags: readonly string[];
}

export interface GenericGroup {
  readonly id: number;
  readonly name: string;
}

/** A family of generic netlink, as the kernel describes it. */
export interface GenericFamily {
  /** The message type; it changes when a module is loaded again. */
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** Bytes of the family's own header after the generic one. */
  readonly headerSize: number;
  readonly maxAttribute: number;
  readonly commands: readonly GenericCommand[];
  readonly groups: readonly GenericGroup[];
}

/** A message of a family: its command and its attributes, not interpreted. */
export interface GenericMessage {
  readonly command: number;
  readonly version: number;
  /** The bytes of all attributes, as the kernel sent them. */
  readonly payload: Buffer;
  readonly attributes: readonly { readonly type: number; readonly data: Buffer }[];
}

/** struct genlmsghdr */
const header = (command: number, version: number): Uint8Array => Uint8Array.of(command, version, 0, 0);

/** What follows the netlink header of a family's message: struct genlmsghdr, the family's own header, attributes. */
export function genericBody(
  family: Pick<GenericFamily, "version" | "headerSize">,
  command: number,
  attributes: Part,
): Part {
  return [header(command, family.version), new Uint8Array(padded(family.headerSize)), attributes];
}

function decodeFamily(message: NetlinkMessage): GenericFamily {
  const found = attributes(message.data.subarray(GENL_HEADER));
  const number = (type: number): number => found.get(type)?.readUInt32LE(0) ?? 0;
  const commands: GenericCommand[] = [];
  eachAttribute(found.get(CTRL.OPS) ?? Buffer.alloc(0), ({ data }) => {
    const op = attributes(data);
    const flags = op.get(2)?.readUInt32LE(0) ?? 0;
    commands.push({
      id: op.get(1)?.readUInt32LE(0) ?? 0,
      flags: OPERATION_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name),
    });
  });
  const groups: GenericGroup[] = [];
  eachAttribute(found.get(CTRL.GROUPS) ?? Buffer.alloc(0), ({ data }) => {
    const group = attributes(data);
    groups.push({ name: readText(group.get(1)), id: group.get(2)?.readUInt32LE(0) ?? 0 });
  });
  return {
    id: found.get(CTRL.ID)?.readUInt16LE(0) ?? 0,
    name: readText(found.get(CTRL.NAME)),
    version: number(CTRL.VERSION),
    headerSize: number(CTRL.HEADER_SIZE),
    maxAttribute: number(CTRL.MAX),
    commands,
    groups,
  };
}

/** The name of the family that a notification of `nlctrl` is about. */
export function readFamilyName(message: GenericMessage): string {
  return readText(message.attributes.find(({ type }) => type === CTRL.NAME)?.data);
}

/** A message of a family whose own header has `headerSize` bytes. */
export function decodeGeneric(message: NetlinkMessage, headerSize: number): GenericMessage {
  const payload = Buffer.from(message.data.subarray(GENL_HEADER + padded(headerSize)));
  const list: { type: number; data: Buffer }[] = [];
  eachAttribute(payload, ({ type, data }) => list.push({ type, data }));
  return { command: message.data[0] ?? 0, version: message.data[1] ?? 0, payload, attributes: list };
}

/**
 * Generic netlink of the network namespace in which it is made: families by name, their commands, attribute policies and
 * multicast groups, requests and dumps. Errors carry the kernel's extended-ack text (XDPCTL_E_NETLINK,
 * XDPCTL_E_PERMISSION). Needs no privilege itself; commands with `admin` do.
 */
export class GenericSocket implements Disposable {
  // Families that check strictly say so themselves; the socket option is for dumps of rtnetlink.
  readonly #socket = new NetlinkSocket(NETLINK_GENERIC, { strict: false });

  /** All families that are registered, by name. */
  families(): GenericFamily[] {
    const found: GenericFamily[] = [];
    const body = header(CTRL_CMD.GETFAMILY, 2);
    this.#socket.dump(
      GENL_ID_CTRL,
      body,
      "listing the families of generic netlink",
      (message) => found.push(decodeFamily(message)),
      () => found.splice(0),
    );
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The family of that name, or undefined. The kernel may load a module that says it has it. */
  find(name: string): GenericFamily | undefined {
    if (Buffer.byteLength(name) > LONGEST_NAME || name.includes("\0")) return undefined;
    const body = [header(CTRL_CMD.GETFAMILY, 2), text(CTRL.NAME, name)];
    const what = `finding the family ${name} of generic netlink`;
    try {
      const [answer] = this.#socket.request({ type: GENL_ID_CTRL, flags: 0, body, what });
      return answer === undefined ? undefined : decodeFamily(answer);
    } catch (error) {
      if (XdpctlError.is(error) && error.errno === errno.ENOENT) return undefined;
      throw error;
    }
  }

  /** The family of that name. Throws XDPCTL_E_NO_FAMILY. */
  family(name: string): GenericFamily {
    const found = this.find(name);
    if (found !== undefined) return found;
    const hint = didYouMean(
      name,
      this.families().map((family) => family.name),
    );
    throw new XdpctlError("XDPCTL_E_NO_FAMILY", `generic netlink has no family ${JSON.stringify(name)}${hint}`);
  }

  /** The types of the attributes that a command takes, by number; undefined where the kernel has no policy to show (5.10). */
  policy(family: GenericFamily, command: number): Map<number, GenericAttributeType> | undefined {
    const policies = new Map<number, Map<number, GenericAttributeType>>();
    let wanted: number | undefined;
    const body = [header(CTRL_CMD.GETPOLICY, 2), u16(CTRL.ID, family.id), u32(OP_ATTRIBUTE, command)];
    const what = `reading the attribute policy of ${family.name}`;
    const read = ({ data }: NetlinkMessage): void => {
      const found = attributes(data.subarray(GENL_HEADER));
      eachAttribute(found.get(CTRL.OP_POLICY) ?? Buffer.alloc(0), (op) => {
        if (op.type === command) wanted = attributes(op.data).get(POLICY_DO)?.readUInt32LE(0) ?? wanted;
      });
      eachAttribute(found.get(CTRL.POLICY) ?? Buffer.alloc(0), (policy) => {
        const types = policies.get(policy.type) ?? new Map<number, GenericAttributeType>();
        policies.set(policy.type, types);
        eachAttribute(policy.data, (attribute) => {
          const type = attributes(attribute.data).get(1)?.readUInt32LE(0) ?? 0;
          types.set(attribute.type, ATTRIBUTE_TYPES[type] ?? "invalid");
        });
      });
    };
    try {
      this.#socket.dump(GENL_ID_CTRL, body, what, read, () => policies.clear());
    } catch (error) {
      // ENODATA: the family has none; ENOENT: neither has it such a command. EOPNOTSUPP, EINVAL: the kernel is too old to be asked.
      const none: (number | undefined)[] = [errno.ENODATA, errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL];
      if (XdpctlError.is(error) && none.includes(error.errno)) return undefined;
      throw error;
    }
    return policies.get(wanted ?? 0);
  }

  /** Sends one command; returns what the kernel answered before its acknowledgement. `what` names it in errors. */
  request(
    family: GenericFamily,
    command: number,
    body: Part,
    what = `${family.name} command ${command}`,
  ): GenericMessage[] {
    const all = genericBody(family, command, body);
    return this.#socket
      .request({ type: family.id, flags: 0, body: all, what })
      .map((message) => decodeGeneric(message, family.headerSize));
  }

  /** A dump: each message as it is read; one that the kernel marks as torn is read again, and `restart` called before. */
  dump(
    family: GenericFamily,
    command: number,
    body: Part,
    handler: (message: GenericMessage) => void,
    restart: () => void,
    what = `dumping ${family.name} command ${command}`,
  ): void {
    const all = genericBody(family, command, body);
    this.#socket.dump(family.id, all, what, (message) => handler(decodeGeneric(message, family.headerSize)), restart);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const OP_ATTRIBUTE = 10;
const padded = (size: number): number => (size + 3) & ~3;
