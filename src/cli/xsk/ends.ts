// SPDX-License-Identifier: MIT
import { isIP } from "node:net";
import { type Path, findPath } from "../../xsk/index.js";
import { usage } from "../command.js";
import { parsePort } from "../targets.js";

/** Where datagrams go. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `10.0.0.5:9000` or `[2001:db8::5]:9000`. Throws XDPCTL_E_USAGE. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? "";
  if (match === null || isIP(address) !== (match[1] === undefined ? 4 : 6) || address.includes("%"))
    throw usage(`${JSON.stringify(text)} is no address with a port`, "write 10.0.0.5:9000 or [2001:db8::5]:9000");
  return { address, port: parsePort(match[3] ?? "") };
}

/** The way to an endpoint, over the kernel's tables. */
export function pathTo(name: string, { address }: Endpoint, mac: string | undefined): Promise<Path> {
  return findPath(name, address, mac === undefined ? {} : { mac });
}

/** The least and the most of `--size`: headers and a number; an IP packet that fits into a frame of the UMEM. */
export const LEAST_SIZE = 47;
export const MOST_SIZE = 1514;
