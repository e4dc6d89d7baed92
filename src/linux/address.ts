// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { lazy, libc } from "./ffi.js";
import { AF_INET, AF_INET6 } from "./socket.js";

const inet_pton = lazy<(family: number, text: string, into: Uint8Array) => number>(
  libc,
  "int inet_pton(int, const char *, void *)",
);

/** inet_pton(3): the 4 or 16 bytes of an address in network order, or undefined for anything else. */
export function addressBytes(text: string, family: 4 | 6): Uint8Array | undefined {
  const into = new Uint8Array(family === 4 ? 4 : 16);
  return inet_pton(family === 4 ? AF_INET : AF_INET6, text, into) === 1 ? into : undefined;
}

const inet_ntop = lazy<(family: number, bytes: Uint8Array, into: Uint8Array, size: number) => bigint | null>(
  libc,
  "void *inet_ntop(int, const void *, void *, uint32_t)",
);
const text = Buffer.alloc(64);

/** inet_ntop(3); an IPv4-mapped address is shown as the IPv4 address that it is. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  inet_ntop(AF_INET6, bytes, text, text.length);
  const shown = text.toString("latin1", 0, text.indexOf(0));
  return shown.startsWith("::ffff:") && shown.includes(".") ? shown.slice(7) : shown;
}

/** sockaddr_in or sockaddr_in6 of an address in text. Throws XDPCTL_E_USAGE for what is none. */
export function socketAddress(address: string, port: number): Buffer {
  const family = address.includes(":") ? 6 : 4;
  const bytes = addressBytes(address, family);
  if (bytes === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${address}\` is not an IP address`);
  const structure = Buffer.alloc(family === 4 ? 16 : 28);
  structure.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0);
  structure.writeUInt16BE(port, 2);
  structure.set(bytes, family === 4 ? 4 : 8);
  return structure;
}
