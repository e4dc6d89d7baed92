// SPDX-License-Identifier: MIT
import { CHECK, CHECK_NAME } from "./checks/schema.js";

import { CONTAINER_PROPERTIES } from "./kinds/container/schema.js";
import { VM_PROPERTIES } from "./kinds/vm/schema.js";

/*
 * The one description of a lab file: schema/lab.schema.json is this value written out, the TypeScript types are inferred
 * from it, and the checker walks it.
 */

const LAB_NAME = {
  type: "string",
  pattern: "^[A-Za-z0-9]([A-Za-z0-9_-]{0,30}[A-Za-z0-9])?$",
  patternErrorMessage: "a lab's name has 1 to 32 letters, digits, - and _, and starts and ends with a letter or digit",
} as const;
const NODE_NAME = {
  type: "string",
  pattern: "^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$",
  patternErrorMessage: "a machine's name has 1 to 32 letters, digits and -, and starts and ends with a letter or digit",
} as const;
const INTERFACE_NAME = {
  type: "string",
  pattern: "^(?!lo$|all$|default$|\\.{1,2}$)[A-Za-z0-9_.@+=-]{1,15}$",
  patternErrorMessage: "an interface's name has 1 to 15 letters, digits and _ . - + = @, and is not lo, all or default",
} as const;
const PREFIX = {
  type: "string",
  pattern: "^[0-9A-Fa-f:.]+/[0-9]{1,3}$",
  patternErrorMessage: "an address has a prefix length, as in 192.168.5.1/24 or fd00:5::1/64",
} as const;
const SUBNET = {
  type: "string",
  pattern: "^([0-9A-Fa-f:.]+/[0-9]{1,3}|none)$",
  patternErrorMessage: "a subnet is written as 192.168.5.0/24 or fd00:5::/64; `none` gives no automatic addresses",
} as const;
const DHCP_RANGE = {
  type: "string",
  pattern: "^[0-9.]+ *- *[0-9.]+$",
  patternErrorMessage: "a range of addresses is written as 192.168.5.100-192.168.5.200",
} as const;
const ADDRESSES = { anyOf: [PREFIX, { type: "array", items: PREFIX }] } as const;
const MTU = { type: "integer", minimum: 68, maximum: 65535, description: "Bytes of the largest packet." } as const;

const MPTCP_FLAG = {
  type: "string",
  pattern: "^(signal|subflow|backup|fullmesh|laminar)$",
  patternErrorMessage: "an endpoint is `subflow`, `signal`, `backup`, `fullmesh` or `laminar`",
} as const;
const MPTCP_LIMIT = { type: "integer", minimum: 0, maximum: 8 } as const;
const MPTCP = {
  type: "object",
  properties: {
    subflows: { ...MPTCP_LIMIT, description: "Subflows of a connection beside its first; 2 by default." },
    accepted: { ...MPTCP_LIMIT, description: "Addresses that the peer announces and a connection uses; 0 by default." },
    endpoints: {
      type: "object",
      propertyNames: INTERFACE_NAME,
      additionalProperties: { anyOf: [MPTCP_FLAG, { type: "array", items: MPTCP_FLAG }] },
      description: "By interface: how connections use its addresses, as in `eth1: subflow`.",
    },
  },
  additionalProperties: false,
} as const;

const NODE_PROPERTIES = {
  forward: { type: "boolean", description: "A router: it forwards IPv4 and IPv6." },
  masquerade: {
    anyOf: [INTERFACE_NAME, { type: "array", items: INTERFACE_NAME }],
    description: "Interfaces: what leaves there hides behind the interface's own address.",
  },
  addresses: {
    type: "object",
    propertyNames: INTERFACE_NAME,
    additionalProperties: ADDRESSES,
    description: "Addresses by interface. What is not given is chosen, for IPv4 and IPv6 each.",
  },
  dhcp: {
    anyOf: [INTERFACE_NAME, { type: "array", items: INTERFACE_NAME }],
    description: "Interfaces whose IPv4 address and default route come by DHCP; their address is reserved for them.",
  },
  "dhcp-server": {
    type: "object",
    propertyNames: INTERFACE_NAME,
    additionalProperties: DHCP_RANGE,
    description: "Interfaces on which the machine serves DHCP, each with the addresses that strangers get.",
  },
  gateway: {
    type: "string",
    description: "Where the default routes go: a machine on a common link, an address, or `none`.",
  },
  routes: {
    type: "array",
    items: {
      anyOf: [
        {
          type: "string",
          pattern: "^\\S+( +(via|dev) +\\S+| +metric +[0-9]{1,9}){1,3}$",
          patternErrorMessage: "a route is written as `10.0.0.0/8 via 192.168.5.1`, or `default via … dev eth0`",
        },
        {
          type: "object",
          properties: {
            to: { type: "string" },
            via: { type: "string" },
            dev: INTERFACE_NAME,
            metric: { type: "integer", minimum: 0, maximum: 999_999_999 },
          },
          required: ["to"],
          additionalProperties: false,
        },
      ],
    },
  },
  mptcp: { ...MPTCP, description: "Multipath TCP: limits, and the interfaces that connections may use." },
  sysctls: {
    type: "object",
    propertyNames: {
      type: "string",
      // Written below /proc/sys by root: no part of a name may be empty, `.` or `..`.
      pattern: "^net((\\.[A-Za-z0-9_-]+)+|(/(?!\\.{1,2}(/|$))[A-Za-z0-9_.@+=-]+)+)$",
      patternErrorMessage: "only settings of the machine's own network (net.…) can be given",
    },
    additionalProperties: { anyOf: [{ type: "string" }, { type: "integer" }] },
    description: "Kernel settings of the machine's own network, such as net.ipv4.tcp_syncookies.",
  },
  env: {
    type: "object",
    propertyNames: {
      type: "string",
      pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
      patternErrorMessage: "a variable's name has letters, digits and _",
    },
    additionalProperties: { anyOf: [{ type: "string" }, { type: "integer" }] },
    description: "Environment of the commands that run in the machine.",
  },
} as const;

const NODE = {
  type: "object",
  properties: {
    kind: {
      type: "string",
      description: "`netns` (the default; `linux` means the same), `container`, `vm`, `bridge`, or one of `kinds`.",
    },
    ...NODE_PROPERTIES,
    ...CONTAINER_PROPERTIES,
    ...VM_PROPERTIES,
  },
  additionalProperties: false,
} as const;
const OPTIONAL_NODE = { anyOf: [NODE, { type: "null" }] } as const;

const BRIDGE = {
  type: "object",
  properties: {
    subnet: { ...SUBNET, description: "The network of automatic IPv4 addresses." },
    subnet6: { ...SUBNET, description: "The network of automatic IPv6 addresses." },
    mtu: MTU,
  },
  additionalProperties: false,
} as const;

const WORD_OR_NUMBER = { anyOf: [{ type: "string" }, { type: "integer" }] } as const;
const IMPAIR = {
  type: "object",
  properties: {
    rate: { ...WORD_OR_NUMBER, description: "Bits per second, as in 10mbit or 500kbit." },
    delay: { type: "string", description: "As in 20ms; needs a kernel with netem." },
    jitter: { type: "string", description: "By how much the delay varies, as in 5ms." },
    loss: { ...WORD_OR_NUMBER, description: "Per cent of the packets, as in 0.5%; needs a kernel with netem." },
    limit: { ...WORD_OR_NUMBER, description: "Bytes that may wait for the rate; 50 ms of it by default." },
    burst: { ...WORD_OR_NUMBER, description: "Bytes that may leave at once; 2 ms of the rate by default." },
    optional: { type: "boolean", description: "What the kernel lacks is left out, and deploy says so." },
  },
  additionalProperties: false,
} as const;

const ENDPOINT_TEXT = {
  type: "string",
  pattern: "^[^:\\s]+(:[^:\\s]+)?$",
  patternErrorMessage: "an end of a link is `machine:interface`, or a bridge",
} as const;
const ENDPOINT = {
  type: "object",
  properties: {
    node: { type: "string" },
    interface: INTERFACE_NAME,
    ipv4: PREFIX,
    ipv6: PREFIX,
    mac: {
      type: "string",
      pattern: "^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$",
      patternErrorMessage: "a hardware address is six bytes, as in 02:00:00:00:00:01, and not a multicast one",
    },
    impair: { ...IMPAIR, description: "What is wrong with what this end sends, on top of the link's `impair`." },
  },
  required: ["node"],
  additionalProperties: false,
} as const;

const LINK = {
  anyOf: [
    {
      type: "string",
      pattern: "^[^\\s:]+(:[^\\s:]+)? +-- +[^\\s:]+(:[^\\s:]+)?$",
      patternErrorMessage: "a link is written as `client:eth0 -- server:eth0`, or `client:eth0 -- br-lan`",
    },
    {
      type: "object",
      properties: {
        endpoints: { type: "array", items: { anyOf: [ENDPOINT_TEXT, ENDPOINT] }, minItems: 2, maxItems: 2 },
        mtu: MTU,
        subnet: { ...SUBNET, description: "The network of automatic IPv4 addresses." },
        subnet6: { ...SUBNET, description: "The network of automatic IPv6 addresses." },
        impair: { ...IMPAIR, description: "What is wrong with the link, in both directions." },
      },
      required: ["endpoints"],
      additionalProperties: false,
    },
  ],
} as const;

export const LAB_SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "xdpctl lab",
  description: "Machines, bridges and the links between them.",
  type: "object",
  properties: {
    name: { ...LAB_NAME, description: "The lab's name; `--name` deploys the same file a second time under another." },
    defaults: { ...NODE, description: "What machines have that neither they nor their kind say." },
    kinds: {
      type: "object",
      propertyNames: NODE_NAME,
      additionalProperties: NODE,
      description: "Named sets of settings, for `kind:` of machines.",
    },
    nodes: {
      type: "object",
      propertyNames: NODE_NAME,
      additionalProperties: OPTIONAL_NODE,
      description: "The machines, by name.",
    },
    bridges: {
      type: "object",
      propertyNames: INTERFACE_NAME,
      additionalProperties: { anyOf: [BRIDGE, { type: "null" }] },
      description: "The switches, by name.",
    },
    links: { type: "array", items: LINK, description: "The cables." },
    checks: {
      type: "object",
      propertyNames: CHECK_NAME,
      additionalProperties: CHECK,
      description: "What `xdpctl lab test` finds out, in this order.",
    },
  },
  required: ["name", "nodes"],
  additionalProperties: false,
} as const;

/** The TypeScript type of what a JSON Schema of this shape admits. */
export type Infer<S> = S extends { readonly anyOf: readonly (infer U)[] }
  ? InferEach<U>
  : S extends { readonly type: "object"; readonly properties: infer P }
    ? Flatten<
        { -readonly [K in keyof P as K extends Required<S> ? K : never]: Infer<P[K]> } & {
          -readonly [K in keyof P as K extends Required<S> ? never : K]?: Infer<P[K]>;
        }
      >
    : S extends { readonly type: "object"; readonly additionalProperties: infer A }
      ? Record<string, Infer<A>>
      : S extends { readonly type: "array"; readonly items: infer I }
        ? Infer<I>[]
        : S extends { readonly type: infer T extends keyof Primitive }
          ? Primitive[T]
          : never;
type InferEach<U> = U extends unknown ? Infer<U> : never;
type Required<S> = S extends { readonly required: readonly (infer R)[] } ? R : never;
type Flatten<T> = { [K in keyof T]: T[K] };
interface Primitive {
  string: string;
  /** As it is written. */
  number: string;
  integer: number;
  boolean: boolean;
  null: null;
}

/** A lab file as written. */
export type LabFile = Infer<typeof LAB_SCHEMA>;
export type NodeFile = Infer<typeof NODE>;
export type BridgeFile = Infer<typeof BRIDGE>;
export type LinkFile = Infer<typeof LINK>;
export type EndpointFile = Infer<typeof ENDPOINT>;
export type ImpairFile = Infer<typeof IMPAIR>;
export type CheckFile = Infer<typeof CHECK>;

/** The JSON Schema as the text of schema/lab.schema.json; lists of words are on one line, as the formatter has them. */
export function schemaText(): string {
  const text = JSON.stringify(LAB_SCHEMA, null, 2);
  return `${text.replace(/\[\s+("[^"\n]*"(?:,\s+"[^"\n]*")*)\s+\]/g, (_, words: string) => `[${words.replace(/,\s+/g, ", ")}]`)}\n`;
}
