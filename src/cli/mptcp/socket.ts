// SPDX-License-Identifier: MIT
import type { MptcpSocket } from "../../netlink/index.js";

/** Asks the path manager of this network namespace. */
export async function withMptcp<T>(body: (socket: MptcpSocket) => T): Promise<T> {
  const { MptcpSocket } = await import("../../netlink/index.js");
  const socket = new MptcpSocket();
  try {
    return body(socket);
  } finally {
    socket.close();
  }
}

/** `[2001:db8::1]:443`, `192.0.2.1:443`; without a port the address alone. */
export function hostPort(address: string, port = 0): string {
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A connection's token as ss(8) and ip-mptcp(8) show it. */
export const tokenText = (token: number): string => token.toString(16).padStart(8, "0");
