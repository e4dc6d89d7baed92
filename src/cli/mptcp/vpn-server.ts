// SPDX-License-Identifier: MIT
import { isIPv4 } from "node:net";
import { XdpctlError } from "../../errors/index.js";
import { usage } from "../command.js";
import { OpenVpn } from "./openvpn.js";
import type { OpenVpnReport } from "./openvpn-reader.js";
import { CLEAR, METRIC } from "./vpn-client.js";
import { keyOptions } from "./vpn-key.js";

/** An IPv4 network: `10.8.0.0/24`. */
export interface VpnNetwork {
  readonly address: string;
  /** Bits. */
  readonly prefix: number;
}

/** OpenVPN gives addresses of at least 8 and at most 65536. */
const [LARGEST, SMALLEST] = [16, 29] as const;

const number = (address: string): number => address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
const maskOf = (prefix: number): number => (0xffffffff << (32 - prefix)) >>> 0;

/** Throws XDPCTL_E_USAGE. */
export function parseVpnNetwork(text: string): VpnNetwork {
  const [address = "", bits = ""] = text.split("/");
  const prefix = /^\d+$/.test(bits) ? Number(bits) : Number.NaN;
  if (!isIPv4(address) || !(prefix >= LARGEST && prefix <= SMALLEST) || text.split("/").length > 2) {
    throw usage(
      `${JSON.stringify(text)} is no network of a VPN`,
      `write 10.8.0.0/24; from /${LARGEST} to /${SMALLEST}`,
    );
  }
  const first = dotted((number(address) & maskOf(prefix)) >>> 0);
  if (first === address) return { address, prefix };
  throw usage(`${text} is an address in a network`, `the network is ${first}/${prefix}`);
}

export interface VpnServerOptions {
  readonly network: VpnNetwork;
  readonly listen: string;
  readonly port: number;
  readonly key: string;
  readonly clear: boolean;
}

/** A client of the VPN that came, or left. */
export interface VpnVisit {
  readonly here: boolean;
  /** Where it is reached, and its address in the tunnel. */
  readonly client: string;
  readonly address: string;
}

function serverOptions({ network, listen, port, key, clear }: VpnServerOptions): string[] {
  return [
    ...["--server", network.address, dotted(maskOf(network.prefix)), "--topology", "p2p", "--dev", "tun"],
    ...["--proto", "udp4", "--port", String(port), ...(listen === "0.0.0.0" ? [] : ["--local", listen])],
    ...keyOptions(key),
    ...["--duplicate-cn", "--dh", "none"],
    ...(clear ? CLEAR : []),
    ...["--push", `route 0.0.0.0 0.0.0.0 vpn_gateway ${METRIC}`, "--keepalive", "2", "10"],
    // Every client has the key; that they are asked about makes their coming and going known.
    ...["--management-client-auth", "--auth-user-pass-optional"],
    ...["--user", "nobody", "--group", "nogroup", "--persist-tun", "--persist-key"],
    ...["--explicit-exit-notify", "1", "--disable-dco", "--verb", "1"],
  ];
}

/** The server's side of VPNs: clients get addresses of a network, which the caller masquerades. */
export class VpnServer implements AsyncDisposable {
  readonly #vpn: OpenVpn;

  private constructor(vpn: OpenVpn) {
    this.#vpn = vpn;
  }

  /** Resolves when clients may come. Errors: XDPCTL_E_TOOL, XDPCTL_E_NO_FILE, XDPCTL_E_USAGE. */
  static async start(options: VpnServerOptions, visit: (visit: VpnVisit) => void): Promise<VpnServer> {
    const clients = new Map<string, VpnVisit>();
    let first: () => void = () => {};
    const up = new Promise<void>((resolve) => {
      first = resolve;
    });
    const vpn = await OpenVpn.start("the VPN", serverOptions(options), (report, vpn) => {
      if (report.kind === "STATE" && report.words[1] === "CONNECTED") first();
      if (report.kind === "CLIENT") hearClient(report, vpn, clients, visit);
    });
    const error = await Promise.race([up, vpn.ended]);
    if (error instanceof XdpctlError) throw error;
    return new VpnServer(vpn);
  }

  get ended(): Promise<XdpctlError | undefined> {
    return this.#vpn.ended;
  }

  async close(): Promise<void> {
    await this.#vpn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function hearClient(
  { words, env }: OpenVpnReport,
  vpn: OpenVpn,
  clients: Map<string, VpnVisit>,
  visit: (visit: VpnVisit) => void,
): void {
  const [what, id = "", key = ""] = words;
  if (!/^\d+$/.test(id)) return;
  if ((what === "CONNECT" || what === "REAUTH") && /^\d+$/.test(key)) vpn.tell(`client-auth-nt ${id} ${key}`);
  if (what === "ESTABLISHED") {
    const one = { here: true, client: env.get("trusted_ip") ?? "", address: env.get("ifconfig_pool_remote_ip") ?? "" };
    clients.set(id, one);
    visit(one);
  }
  const known = clients.get(id);
  if (what === "DISCONNECT" && known !== undefined) {
    clients.delete(id);
    visit({ ...known, here: false });
  }
}
