// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { parseAddress } from "./address.js";
import { parseMac } from "./mac.js";

/** A view over the same bytes; numbers on the wire are big-endian, DataView's default. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A new header of `length` bytes with the payload behind it. */
export function withPayload(length: number, payload: Uint8Array): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length + payload.length);
  bytes.set(payload, length);
  return { bytes, view: viewOf(bytes) };
}

/** The 4 or 16 bytes of an address given as text or bytes. */
export function addressOf(value: string | Uint8Array, family: 4 | 6): Uint8Array {
  const bytes = typeof value === "string" ? parseAddress(value).bytes : value;
  if (bytes.length !== (family === 4 ? 4 : 16)) {
    const shown = typeof value === "string" ? `\`${value}\`` : `an address of ${bytes.length} bytes`;
    throw new XdpctlError("XDPCTL_E_USAGE", `${shown} is not an IPv${family} address`);
  }
  return bytes;
}

/** The 6 bytes of a MAC address given as text or bytes. */
export function macOf(value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === "string" ? parseMac(value) : value;
  if (bytes === undefined || bytes.length !== 6)
    throw new XdpctlError("XDPCTL_E_USAGE", `\`${String(value)}\` is not a MAC address (02:00:00:00:00:01)`);
  return bytes;
}
