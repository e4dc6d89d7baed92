// SPDX-License-Identifier: MIT
import { createSocket, type Socket } from "node:dgram";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { needCapabilities } from "../../linux/index.js";
import type { DetourNat, DetourTable } from "../../netlink/index.js";
import { decodeMproxy, encodeMproxy, MPROXY_PORT } from "../../packet/index.js";
import { leaf, usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseCount } from "../quantities.js";
import { ipv4 } from "./ask.js";
import { setForNow } from "./sysctl.js";
import type { VpnServer, VpnVisit } from "./vpn-server.js";
import { VPN_PORT } from "./way.js";

interface ServeOptions {
  listen: string;
  port: number;
  vpn?: string;
  vpnKey?: string;
  vpnPort: number;
  vpnClear?: true;
}

interface Counts {
  added: number;
  echoed: number;
  ignored: number;
}

function bound(port: number, address: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", (cause) => {
      reject(new XdpctlError("XDPCTL_E_SYSCALL", `listening on UDP port ${port}: ${cause.message}`, { cause }));
    });
    socket.bind({ port, address }, () => resolve(socket));
  });
}

/** Whether something can be sent on to it: no broadcast, multicast or loopback address, and a port. */
function isRemote(address: string, port: number): boolean {
  const first = Number(address.split(".")[0]);
  return first > 0 && first < 224 && first !== 127 && port !== 0;
}

const parsePort = (text: string): number => parseCount("port", text, 1, 65_535);

export function registerDetourServe(detour: Command, context: Context): void {
  leaf(detour, "serve", "be a detour: pass on what clients ask for, until Ctrl-C; then all its rules go", [
    ["xdpctl mptcp detour serve", "on UDP port 45672 of all addresses"],
    ["xdpctl mptcp detour serve --listen 10.9.0.30 --json", "one object for each request"],
    ["xdpctl mptcp detour serve --vpn 10.8.0.0/24 --vpn-key vpn.key", "and by OpenVPN"],
  ])
    .option("--listen <address>", "the address to be asked at", ipv4, "0.0.0.0")
    .option("--port <number>", "the UDP port to be asked at", parsePort, MPROXY_PORT)
    .option("--vpn <network>", "be a VPN, too: its clients get addresses of this network, as 10.8.0.0/24")
    .option("--vpn-key <file>", "the VPN's key, which `detour key` makes")
    .option("--vpn-port <number>", "the VPN's UDP port", parsePort, VPN_PORT)
    .option("--vpn-clear", "a VPN that encrypts nothing: MPTCP's data is as it is on the other paths")
    .action(async (options: ServeOptions) => {
      const { DetourNat, DetourTable, listeningPorts } = await import("../../netlink/index.js");
      needCapabilities("being a detour", "CAP_NET_ADMIN");
      const live = await context.live();
      const socket = await bound(options.port, options.listen);
      const end: (() => void)[] = [() => socket.close(), () => live.close()];
      const json = context.terminal.jsonMode;
      let vpn: VpnServer | undefined;
      try {
        const nat = new DetourNat();
        end.unshift(() => nat.close());
        end.unshift(setForNow("ipv4/ip_forward", "1"));
        vpn = await startVpn(options, nat, (visit) => live.write(`${visitText(visit, json)}\n`));
        const table = new DetourTable({
          add: (one) => nat.add(one),
          isReserved: (port) => listeningPorts().has(port),
        });
        const counts = serve(socket, table, (text) => live.write(`${text}\n`), json);
        const more = vpn === undefined ? "" : `, a VPN with ${options.vpn} on UDP port ${options.vpnPort}`;
        context.terminal.note(`detours on UDP port ${options.port} of ${options.listen}${more}; Ctrl-C ends them`);
        const failed = await Promise.race([aborted(context.signal), vpn?.ended ?? new Promise<undefined>(() => {})]);
        if (failed !== undefined) throw failed;
        const { added, echoed, ignored } = counts;
        context.terminal.note(
          `${added} detours ended; ${added + echoed + ignored} requests, ${ignored} of them ignored`,
        );
        await settle(live.drained(), context.signal);
      } finally {
        await vpn?.close();
        for (const step of end) step();
      }
    });
}

async function startVpn(
  { vpn, vpnKey, vpnPort, vpnClear, listen }: ServeOptions,
  nat: DetourNat,
  visit: (visit: VpnVisit) => void,
): Promise<VpnServer | undefined> {
  if (vpn === undefined) return undefined;
  if (vpnKey === undefined)
    throw usage("a VPN needs its key: --vpn-key FILE", "`xdpctl mptcp detour key FILE` makes one");
  const { parseVpnNetwork, VpnServer } = await import("./vpn-server.js");
  const network = parseVpnNetwork(vpn);
  nat.addNetwork(network.address, network.prefix);
  return await VpnServer.start({ network, listen, port: vpnPort, key: vpnKey, clear: vpnClear === true }, visit);
}

function visitText({ here, client, address }: VpnVisit, json: boolean): string {
  const time = new Date().toISOString();
  if (json) return JSON.stringify({ type: "vpn", time, client, address, state: here ? "up" : "down" });
  return `${time.slice(11, 23)}  VPN   ${client} ${here ? "is" : "was"} ${address}`;
}

function serve(socket: Socket, table: DetourTable, write: (text: string) => void, json: boolean): Counts {
  const counts: Counts = { added: 0, echoed: 0, ignored: 0 };
  socket.on("message", (bytes, from) => {
    const asked = decodeMproxy(bytes);
    if (asked?.op !== "request" || !isRemote(asked.address, asked.port)) {
      counts.ignored++;
      return;
    }
    const { address: remote, port: remotePort, detourPort: proposed } = asked;
    try {
      const { detour, fresh } = table.find(from.address, remote, remotePort, proposed);
      counts[fresh ? "added" : "echoed"]++;
      const answer = encodeMproxy({ op: "response", address: remote, port: remotePort, detourPort: detour.port });
      socket.send(answer, from.port, from.address);
      const time = new Date().toISOString();
      const action = fresh ? "add" : "echo";
      if (json) write(JSON.stringify({ type: "detour", time, action, ...detour, proposed }));
      else {
        const way = `${detour.client} to ${remote}:${remotePort} via ${detour.port} (${proposed})`;
        write(`${time.slice(11, 23)}  ${action.toUpperCase().padEnd(4)}  ${way}`);
      }
    } catch (error) {
      // One client's request must not end the others' detours.
      counts.ignored++;
      const { code, message } = XdpctlError.wrap(error);
      write(
        json ? JSON.stringify({ type: "detour", action: "refused", code, message }) : `refused: ${message}  ${code}`,
      );
    }
  });
  socket.on("error", () => {});
  return counts;
}
