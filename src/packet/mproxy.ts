// SPDX-License-Identifier: MIT

/** The UDP port of MProxy. */
export const MPROXY_PORT = 45_672;

/** Asks a detour to pass what comes to its port on to a remote, or answers with the port that does. */
export interface MproxyMessage {
  readonly op: "request" | "response";
  /** IPv4 address of the remote. */
  readonly address: string;
  /** The remote's TCP port. */
  readonly port: number;
  /** The detour's TCP port; in a request the one that is wished for, 0 for any. */
  readonly detourPort: number;
}

const VERSION = 1;
const LENGTH = 12;
const OPS = ["request", "response"] as const;

/**
 * The 12 bytes of a message: version 1, op, two reserved, the remote's address and port, the detour's port, in network
 * order. The address must be IPv4, and the ports up to 65535.
 */
export function encodeMproxy({ op, address, port, detourPort }: MproxyMessage): Buffer {
  const bytes = Buffer.alloc(LENGTH);
  bytes[0] = VERSION;
  bytes[1] = OPS.indexOf(op);
  bytes.set(address.split(".").map(Number), 4);
  bytes.writeUInt16BE(port, 8);
  bytes.writeUInt16BE(detourPort, 10);
  return bytes;
}

/** The message of a datagram; undefined for another length, version or op. */
export function decodeMproxy(bytes: Uint8Array): MproxyMessage | undefined {
  const op = OPS[bytes[1] ?? OPS.length];
  if (bytes.length !== LENGTH || bytes[0] !== VERSION || op === undefined) return undefined;
  const at = (offset: number): number => ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  return { op, address: [...bytes.subarray(4, 8)].join("."), port: at(8), detourPort: at(10) };
}
