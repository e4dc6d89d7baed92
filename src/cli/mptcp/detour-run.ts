// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { interfaceIndex, needCapabilities } from "../../linux/index.js";
import type { MptcpEvent, MptcpSocket } from "../../netlink/index.js";
import { leaf, usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseDuration } from "../quantities.js";
import { alone } from "./alone.js";
import { askDetour, ipv4 } from "./ask.js";
import { Chooser } from "./choose.js";
import { hostPort, tokenText } from "./socket.js";
import { pathManager, setForNow } from "./sysctl.js";
import type { VpnTunnel } from "./vpn-client.js";
import type { Vpns } from "./vpns.js";
import { parseWay, type Way } from "./way.js";

interface RunOptions {
  from?: string;
  dev?: string;
  timeout: number;
  policy?: string;
  vpnKey?: string;
  vpnClear?: true;
}

/** The address id of the subflows to NAT detours; 0 is the first subflow's, and those of the VPNs come after it. */
const LOCAL_ID = 1;

export function registerDetourRun(detour: Command, context: Context): void {
  leaf(detour, "run <detour...>", "give each new MPTCP connection a subflow through each detour, until Ctrl-C", [
    ["xdpctl mptcp detour run 10.9.0.30", "from the address that the connection has"],
    ["xdpctl mptcp detour run 10.9.0.30 --from 10.2.0.10 --dev eth1", "from another one"],
    ["xdpctl mptcp detour run vpn:10.9.0.30 --vpn-key vpn.key", "by OpenVPN"],
    ["xdpctl mptcp detour run 10.9.0.30 10.9.0.31 --policy examples/mptcp/detours.lua", "a Lua script chooses"],
  ])
    .option("--from <address>", "the address that the subflows, or the packets of VPNs, come from", ipv4)
    .option("-d, --dev <interface>", "the interface that they leave by")
    .option("--policy <file>", "a Lua script whose function `choose` says which detours a connection uses")
    .option("--timeout <duration>", "how long a detour is waited for", parseDuration, 5)
    .option("--vpn-key <file>", "the key of the VPNs, which `detour key` makes")
    .option("--vpn-clear", "VPNs that encrypt nothing: MPTCP's data is as it is on the other paths")
    .action(async (names: string[], options: RunOptions) => {
      const ways = [...new Set(names)].map(parseWay);
      const index = options.dev === undefined ? 0 : interfaceIndex(options.dev);
      if (index === undefined) {
        throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no interface ${options.dev} in this namespace`);
      }
      needCapabilities("opening subflows", "CAP_NET_ADMIN");
      await runDetours(context, ways, { ...options, index });
    });
}

async function runDetours(context: Context, ways: readonly Way[], options: RunOptions & { index: number }) {
  const { MptcpSocket, monitorMptcp } = await import("../../netlink/index.js");
  const socket = new MptcpSocket();
  const live = await context.live();
  const end: (() => void)[] = [() => socket.close(), () => live.close()];
  const json = context.terminal.jsonMode;
  const tell = (event: MptcpEvent, name: string | undefined, port?: number, error?: unknown): void =>
    live.write(`${resultText(event, name, port, error, json)}\n`);
  let chooser: Chooser | undefined;
  let vpns: Vpns | undefined;
  try {
    end.unshift(await alone("detour-run", "a `detour run` runs in this namespace already", "give all detours to one"));
    if (options.policy !== undefined) {
      chooser = await Chooser.load(options.policy, (text) => context.terminal.note(text));
    }
    vpns = await startVpns(context, socket, ways, options, (name, up, tunnel) =>
      live.write(`${tunnelText(name, up, tunnel, json)}\n`),
    );
    // The kernel's own path manager opens subflows to addresses of the peer only.
    if (pathManager() === "userspace") context.terminal.note("net.mptcp.pm_type is 1 already, and will be left so");
    end.unshift(setForNow("mptcp/pm_type", "1"));
    const heard = monitorMptcp(await context.loop(), {
      event: (event) => {
        if (event.event !== "established" || event.server === true || event.destination?.includes(".") !== true) return;
        const go = (way: Way): void => {
          through(socket, event, way, { ...options, vpns }).then(
            (port) => tell(event, way.name, port),
            (error) => tell(event, way.name, undefined, error),
          );
        };
        chosen(chooser, event, ways).then(
          (list) => list.forEach(go),
          (error) => tell(event, undefined, undefined, error),
        );
      },
      lost: () => context.terminal.note("events were lost: some connections may have no detour"),
    });
    end.unshift(() => heard.close());
    const all = ways.map((way) => way.name).join(", ");
    context.terminal.note(`new connections get a subflow through ${all}; Ctrl-C ends that`);
    const failed = await Promise.race([aborted(context.signal), vpns?.ended ?? new Promise<undefined>(() => {})]);
    if (failed !== undefined) throw failed;
    await settle(live.drained(), context.signal);
  } finally {
    try {
      await vpns?.close();
    } finally {
      for (const step of end) step();
      await chooser?.close();
    }
  }
}

/** The ways that a connection shall use. Those through a VPN cost no question, so they come first. */
async function chosen(chooser: Chooser | undefined, event: MptcpEvent, ways: readonly Way[]): Promise<readonly Way[]> {
  const all = ways.map((way) => way.name);
  const names = chooser === undefined ? all : await chooser.choose(event, all);
  const used = ways.filter((way) => names.includes(way.name));
  return used.sort((a, b) => Number(a.kind === "nat") - Number(b.kind === "nat"));
}

async function startVpns(
  context: Context,
  socket: MptcpSocket,
  ways: readonly Way[],
  { vpnKey, vpnClear, from, dev, timeout }: RunOptions,
  changed: (name: string, up: boolean, tunnel: VpnTunnel) => void,
): Promise<Vpns | undefined> {
  const wanted = ways.filter((way) => way.kind === "vpn");
  if (wanted.length === 0) return undefined;
  if (vpnKey === undefined)
    throw usage("a VPN needs its key: --vpn-key FILE", "`xdpctl mptcp detour key FILE` makes one");
  const place = { ...(from === undefined ? {} : { from }), ...(dev === undefined ? {} : { dev }) };
  const list = wanted.map(({ name, host, port }) => ({
    name,
    host,
    port,
    key: vpnKey,
    clear: vpnClear === true,
    ...place,
  }));
  const { Vpns } = await import("./vpns.js");
  return await Vpns.start(list, timeout * 1000, context.signal, socket, changed);
}

/** Opens a subflow on that way; resolves to the port of a NAT detour. */
async function through(
  socket: MptcpSocket,
  event: MptcpEvent,
  way: Way,
  { from, timeout, index, vpns }: { from?: string; timeout: number; index: number; vpns: Vpns | undefined },
): Promise<number | undefined> {
  const { token = 0, destination: remote = "", destinationPort: remotePort = 0, source = "" } = event;
  if (way.kind === "vpn") {
    vpns?.open(way.name, LOCAL_ID + 1, token, remote, remotePort);
    return undefined;
  }
  const local = from ?? source;
  const port = await askDetour({ detour: way.host, remote, remotePort, from: local, timeout: timeout * 1000 });
  socket.createSubflow(token, { address: local, id: LOCAL_ID, index }, { address: way.host, port });
  return port;
}

const clock = (time: string): string => time.slice(11, 23);

function tunnelText(name: string, up: boolean, { interface: device, address }: VpnTunnel, json: boolean): string {
  const time = new Date().toISOString();
  if (json)
    return JSON.stringify({ type: "vpn", time, detour: name, state: up ? "up" : "down", interface: device, address });
  return `${clock(time)}  ${name} is ${up ? "up" : "down"}: ${device} ${address}`;
}

function resultText(
  event: MptcpEvent,
  detour: string | undefined,
  port: number | undefined,
  error: unknown,
  json: boolean,
): string {
  const time = new Date().toISOString();
  const { token = 0, destination: remote = "", destinationPort: remotePort = 0 } = event;
  const failed = error === undefined ? undefined : XdpctlError.wrap(error);
  if (json) {
    const shown = { type: "detour", time, token, remote, remotePort, detour: detour ?? null, port: port ?? null };
    return JSON.stringify(failed === undefined ? shown : { ...shown, error: failed });
  }
  const way = `${tokenText(token)}  ${hostPort(remote, remotePort)}${detour === undefined ? "" : ` through ${hostPort(detour, port)}`}`;
  return `${clock(time)}  ${way}${failed === undefined ? "" : `  failed: ${failed.message}  ${failed.code}`}`;
}
