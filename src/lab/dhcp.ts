// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { inNamespaces } from "../linux/index.js";
import type { Lab } from "./lab.js";
import { nodeDir, packageRoot } from "./paths.js";
import { endProcesses } from "./processes.js";
import type { DhcpServerSpec, LabSpec, NodeSpec } from "./spec.js";
import { isAlive, type LabState, processMark } from "./state.js";
import type { Waiting } from "./waiting.js";

/** So long a client asks. */
const DHCP_SECONDS = 20;
const LEASE = "12h";
const SERVER = "dnsmasq";
const DIRECTORIES = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/sbin"];

/** The server's command for all of a machine's networks: DHCP alone, no DNS, no files. */
export function serverCommand(servers: readonly DhcpServerSpec[]): [string, ...string[]] {
  const words = ["--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--port=0", "--user=nobody"];
  words.push("--bind-interfaces", "--except-interface=lo", "--leasefile-ro", "--no-ping", "--dhcp-authoritative");
  for (const { interface: name, first, last, netmask, reserved } of servers) {
    words.push(`--interface=${name}`, `--dhcp-range=${first},${last},${netmask},${LEASE}`);
    for (const { host, address } of reserved) words.push(`--dhcp-host=${host},${address},${LEASE}`);
  }
  return [serverPath(), ...words];
}

function serverPath(): string {
  for (const dir of DIRECTORIES) {
    try {
      accessSync(join(dir, SERVER), constants.X_OK);
      return join(dir, SERVER);
    } catch {
      // The next.
    }
  }
  throw new XdpctlError("XDPCTL_E_NO_FILE", `${SERVER}, which serves DHCP in labs, is not installed`, {
    remedy: "install the Debian package dnsmasq-base",
  });
}

/** Whether this machine's clients and servers are processes of the host: a guest has its own. */
const isHere = (node: NodeSpec): boolean => node.kind !== "vm";

/** Throws where a server or a client is wanted and there is no program for it: before anything of the lab is made. */
export function checkDhcp(spec: LabSpec): void {
  if (spec.nodes.some((node) => node.dhcpServers !== undefined)) serverPath();
  if (!hasClients(spec) || existsSync(agentPath())) return;
  throw new XdpctlError("XDPCTL_E_NO_FILE", `${agentPath()}, which asks for addresses by DHCP in labs, is missing`, {
    remedy: "run `scripts/build-agent`",
  });
}

const agentPath = (): string => join(packageRoot(), "build/agent/agent");

/** Whether there are machines on the host whose addresses have to be asked for. */
export const hasClients = (spec: LabSpec): boolean => clients(spec).length > 0;

/** Starts the servers that are missing or serve something else, and ends those that are no longer wanted. */
export function startDhcpServers(state: LabState, spec: LabSpec): void {
  const before = state.dhcp ?? {};
  const now: NonNullable<LabState["dhcp"]> = {};
  for (const [name, mark] of Object.entries(before)) {
    const node = spec.nodes.find((one) => one.name === name && isHere(one));
    const same = node?.dhcpServers !== undefined && mark.key === JSON.stringify(serverCommand(node.dhcpServers));
    if (same && isAlive(mark.process)) now[name] = mark;
    else endProcesses([{ node: name, mark: mark.process, command: SERVER }]);
  }
  for (const node of spec.nodes) {
    if (!isHere(node) || node.dhcpServers === undefined || now[node.name] !== undefined) continue;
    const command = serverCommand(node.dhcpServers);
    const log = openSync(serverLog(state, node), "a");
    try {
      const [file, ...args] = command;
      const child = inNamespaces({ net: netOf(state, node) }, () =>
        spawn(file, args, { stdio: ["ignore", log, log], cwd: "/", env: {}, detached: true }),
      );
      child.on("error", () => undefined);
      child.unref();
      const mark = processMark(child.pid ?? 0);
      if (mark !== undefined) now[node.name] = { key: JSON.stringify(command), process: mark };
    } finally {
      closeSync(log);
    }
  }
  if (Object.keys(now).length > 0) state.dhcp = now;
  else delete state.dhcp;
}

const netOf = (state: LabState, node: NodeSpec): string => `${nodeDir(state.name, node.name)}/net`;
const serverLog = (state: LabState, node: NodeSpec): string => join(nodeDir(state.name, node.name), "dnsmasq.log");

interface Client {
  readonly node: NodeSpec;
  readonly interface: string;
  readonly address: string;
}

function clients(spec: LabSpec): Client[] {
  return spec.nodes.filter(isHere).flatMap((node) =>
    node.interfaces.flatMap(({ name, addresses, dhcp }) => {
      const address = addresses.find((prefix) => !prefix.includes(":"));
      return dhcp === true && address !== undefined ? [{ node, interface: name, address }] : [];
    }),
  );
}

/** The agent's client: asks on one interface, and sets the address and the default route that it gets. */
export function clientArguments(name: string, host: string): string[] {
  return ["dhcp", name, String(DHCP_SECONDS), host];
}

/** Has the machines ask that have no address yet. Errors: XDPCTL_E_LAB_DEPLOY. */
export function* lease(lab: Lab): Waiting {
  for (const { node, interface: name, address } of clients(lab.spec)) {
    const net = netOf(lab.state, node);
    const has = (): boolean => inNamespaces({ net }, () => hasAddress(address));
    if (has()) continue;
    const { ok, stderr, code } = yield {
      argv: [agentPath(), ...clientArguments(name, node.name)],
      options: { env: {} },
      around: (start) => inNamespaces({ net }, start),
    };
    if (ok && has()) continue;
    const words = stderr.trim().replace(/^[^:]*: /, "") || `nothing asked on ${name}: ${code ?? "no reason"}`;
    const why = ok ? `${name} got another address than ${address}` : words;
    throw new XdpctlError("XDPCTL_E_LAB_DEPLOY", `${node.name}: ${why}`, {
      lines: serverWords(lab),
      remedy: "the machine with `dhcp-server` has to be there, and no other to answer",
    });
  }
}

/** The machine that this process is in has this address, `192.168.5.100/24`. */
function hasAddress(prefix: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ cidr }) => cidr === prefix));
}

/** What the servers of the lab said last. */
function serverWords(lab: Lab): string[] {
  return lab.spec.nodes.flatMap((node) => {
    if (!isHere(node) || node.dhcpServers === undefined) return [];
    try {
      return readFileSync(serverLog(lab.state, node), "utf8").trimEnd().split("\n").slice(-4);
    } catch {
      return [];
    }
  });
}
