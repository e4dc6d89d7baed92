// SPDX-License-Identifier: MIT
import type { XdpctlError } from "../../errors/index.js";
import type { MptcpSocket } from "../../netlink/index.js";
import { closeSubflows, VpnClient, type VpnClientOptions, type VpnTunnel } from "./vpn-client.js";

/** The VPNs of a client, all of them up or none. */
export class Vpns {
  readonly #socket: MptcpSocket;
  readonly #clients: readonly VpnClient[];
  /** Resolves to why one of them ended by itself. */
  readonly ended: Promise<XdpctlError | undefined>;

  private constructor(socket: MptcpSocket, clients: readonly VpnClient[]) {
    this.#socket = socket;
    this.#clients = clients;
    this.ended = Promise.race(clients.map((one) => one.ended));
  }

  /** Starts them side by side; see VpnClient.start. */
  static async start(
    list: readonly VpnClientOptions[],
    timeout: number,
    signal: AbortSignal,
    socket: MptcpSocket,
    changed: (name: string, up: boolean, tunnel: VpnTunnel) => void,
  ): Promise<Vpns> {
    const all = await Promise.allSettled(
      list.map((one) =>
        VpnClient.start(one, timeout, signal, (up, tunnel) => {
          // What they carry is sent over the other paths at once.
          if (!up) closeSubflows(socket, tunnel.address);
          changed(one.name, up, tunnel);
        }),
      ),
    );
    const clients = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failed = all.find((one) => one.status === "rejected");
    if (failed === undefined) return new Vpns(socket, clients);
    await Promise.all(clients.map((one) => one.close()));
    throw failed.reason;
  }

  /** Opens a subflow through the VPN of that name; `firstId` is the address id of the first VPN's subflows. */
  open(name: string, firstId: number, token: number, remote: string, port: number): void {
    const at = this.#clients.findIndex((one) => one.name === name);
    this.#clients[at]?.open(this.#socket, firstId + at, token, remote, port);
  }

  /** Ends them: first their subflows, so that nothing waits for a path that is gone. */
  async close(): Promise<void> {
    for (const { tunnel } of this.#clients) if (tunnel !== undefined) closeSubflows(this.#socket, tunnel.address);
    await Promise.all(this.#clients.map((one) => one.close()));
  }
}
