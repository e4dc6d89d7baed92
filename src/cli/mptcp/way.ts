// SPDX-License-Identifier: MIT
import { isIPv4 } from "node:net";
import { usage } from "../command.js";
import { parseCount } from "../quantities.js";

export const VPN_PORT = 1194;

/** A detour as a command line and a policy name it: `10.9.0.30` passes on by NAT, `vpn:10.9.0.30[:PORT]` by a VPN. */
export interface Way {
  readonly name: string;
  readonly kind: "nat" | "vpn";
  readonly host: string;
  /** The VPN's UDP port. */
  readonly port: number;
}

/** Throws XDPCTL_E_USAGE. */
export function parseWay(name: string): Way {
  const [, vpn, host = "", port] = /^(vpn:)?([^:]*)(?::(.*))?$/.exec(name) ?? [];
  if (!isIPv4(host) || (vpn === undefined && port !== undefined)) {
    throw usage(
      `${JSON.stringify(name)} is no detour`,
      "`192.0.2.1` is one by NAT, `vpn:192.0.2.1` or `vpn:192.0.2.1:1194` one by a VPN; both are for IPv4",
    );
  }
  return {
    name,
    kind: vpn === undefined ? "nat" : "vpn",
    host,
    port: port === undefined ? VPN_PORT : parseCount("port", port, 1, 65_535),
  };
}
