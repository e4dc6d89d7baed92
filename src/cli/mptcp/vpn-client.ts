// SPDX-License-Identifier: MIT
import { isIPv4 } from "node:net";
import { XdpctlError } from "../../errors/index.js";
import { interfaceIndex } from "../../linux/index.js";
import { type MptcpSocket, mptcpConnections } from "../../netlink/index.js";
import { OpenVpn } from "./openvpn.js";
import type { OpenVpnReport } from "./openvpn-reader.js";
import { keyOptions } from "./vpn-key.js";

/** What packets of both sides of a VPN without encryption look like: the packets themselves, behind a header. */
export const CLEAR = ["--data-ciphers", "none", "--auth", "none"] as const;

export interface VpnClientOptions {
  /** `vpn:10.9.0.30`, for messages. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly key: string;
  readonly clear: boolean;
  /** Address and interface that its packets leave by. */
  readonly from?: string;
  readonly dev?: string;
}

/** The tunnel as it stands. */
export interface VpnTunnel {
  readonly interface: string;
  /** ifindex */
  readonly index: number;
  readonly address: string;
}

/** What the server may set: addresses and the life of the tunnel, but no routes, name servers or commands. */
const PULLED = [
  ...["ifconfig ", "topology ", "ping ", "ping-restart ", "peer-id ", "cipher ", "protocol-flags ", "key-derivation "],
  ...["tun-mtu ", "explicit-exit-notify"],
];

/** Last: what is bound to the tunnel finds its way; nothing else takes it while there is another default route. */
export const METRIC = 1000;

function clientOptions({ host, port, key, clear, from, dev }: VpnClientOptions): string[] {
  return [
    ...["--client", "--dev", "tun", "--proto", "udp4", "--remote", host, String(port)],
    ...(from === undefined ? ["--nobind"] : ["--local", from, "--lport", "0"]),
    ...(dev === undefined ? [] : ["--bind-dev", dev]),
    ...keyOptions(key),
    ...(clear ? CLEAR : []),
    ...PULLED.flatMap((words) => ["--pull-filter", "accept", words]),
    ...["--pull-filter", "ignore", ""],
    ...["--route", "0.0.0.0", "0.0.0.0", "vpn_gateway", String(METRIC)],
    ...["--connect-retry", "1", "4", "--explicit-exit-notify", "1", "--disable-dco", "--verb", "1"],
  ];
}

/** A VPN to a detour: an interface with an address, from which subflows are opened. */
export class VpnClient implements AsyncDisposable {
  readonly name: string;
  #tunnel: VpnTunnel | undefined;
  #state = "it starts";
  #device = "";
  #vpn: OpenVpn | undefined;

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Starts it and waits until it is up, at most `timeout` milliseconds. `changed` hears each time it comes up, and goes
   * down: then `tunnel` is what was. Errors: XDPCTL_E_TIMEOUT, XDPCTL_E_TOOL, XDPCTL_E_NO_FILE, XDPCTL_E_USAGE.
   */
  static async start(
    options: VpnClientOptions,
    timeout: number,
    signal: AbortSignal,
    changed: (up: boolean, tunnel: VpnTunnel) => void,
  ): Promise<VpnClient> {
    const client = new VpnClient(options.name);
    let timer: NodeJS.Timeout | undefined;
    let first: () => void = () => {};
    const up = new Promise<void>((resolve) => {
      first = resolve;
    });
    const vpn = await OpenVpn.start(options.name, clientOptions(options), (report) => {
      const before = client.#tunnel;
      client.#hear(report);
      if (client.#tunnel === before) return;
      if (before !== undefined) changed(false, before);
      if (client.#tunnel !== undefined) changed(true, client.#tunnel);
      first();
    });
    client.#vpn = vpn;
    const late = new Promise<XdpctlError>((resolve) => {
      timer = setTimeout(() => {
        const message = `${options.name}: there is no VPN with it after ${timeout / 1000} s: ${client.#state}`;
        resolve(
          new XdpctlError("XDPCTL_E_TIMEOUT", message, {
            remedy: "does `xdpctl mptcp detour serve --vpn` run there, with the same key?",
          }),
        );
      }, timeout);
    });
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const error = await Promise.race([up, late, vpn.ended, stopped]);
    clearTimeout(timer);
    if (error === undefined) return client;
    await vpn.close();
    throw error;
  }

  get tunnel(): VpnTunnel | undefined {
    return this.#tunnel;
  }

  get ended(): Promise<XdpctlError | undefined> {
    return this.#vpn?.ended ?? Promise.resolve(undefined);
  }

  #hear({ kind, words, env }: OpenVpnReport): void {
    if (kind === "UPDOWN" && words[0] === "UP") this.#device = env.get("dev") ?? "";
    if (kind !== "STATE") return;
    const [, state = "", detail = "", address = ""] = words;
    this.#state = `it is in the state ${state}${detail === "" ? "" : ` (${detail})`}`;
    const index = interfaceIndex(this.#device);
    const isUp = state === "CONNECTED" && detail === "SUCCESS" && isIPv4(address) && index !== undefined;
    this.#tunnel = isUp ? { interface: this.#device, index, address } : undefined;
  }

  /** Opens a subflow of a connection through it, to the server itself. `id` is that of the tunnel's address. */
  open(socket: MptcpSocket, id: number, token: number, remote: string, port: number): void {
    const tunnel = this.#tunnel;
    if (tunnel === undefined) throw new XdpctlError("XDPCTL_E_DISCONNECTED", `${this.name} is down: ${this.#state}`);
    socket.createSubflow(token, { address: tunnel.address, id, index: tunnel.index }, { address: remote, port });
  }

  async close(): Promise<void> {
    await this.#vpn?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Closes the subflows of a tunnel that goes. */
export function closeSubflows(socket: MptcpSocket, address: string): void {
  for (const { token, subflows } of mptcpConnections()) {
    for (const one of subflows.filter(({ source }) => source === address)) {
      try {
        socket.destroySubflow(
          token,
          { address, port: one.sourcePort, id: one.localId },
          { address: one.destination, port: one.destinationPort },
        );
      } catch (error) {
        // It ended by itself.
        if (!XdpctlError.is(error, "XDPCTL_E_NETLINK")) throw error;
      }
    }
  }
}
