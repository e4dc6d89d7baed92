// SPDX-License-Identifier: MIT
import { isIP } from "node:net";
import { usage } from "./command.js";
import { parseCount } from "./quantities.js";

/** Checks an address or CIDR before anything is touched; the text goes on as it is. Throws XDPCTL_E_USAGE. */
export function parseTarget(text: string): string {
  const [address = "", prefix, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || address.includes("%") || more.length > 0) {
    throw usage(`${JSON.stringify(text)} is no address`, "write 198.51.100.7, 198.51.100.0/24 or 2001:db8::/32");
  }
  if (prefix !== undefined) {
    const most = family === 4 ? 32 : 128;
    if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > most) {
      throw usage(`${JSON.stringify(text)} has no prefix length of 0 to ${most}`);
    }
  }
  return text;
}

/** A port: 1 to 65535. */
export function parsePort(text: string): number {
  return parseCount("port", text, 1, 65_535);
}

export function parseProto(text: string): "tcp" | "udp" {
  const proto = text.toLowerCase();
  if (proto !== "tcp" && proto !== "udp") throw usage(`${JSON.stringify(text)} is no protocol`, "write tcp or udp");
  return proto;
}
