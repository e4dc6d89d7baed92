// SPDX-License-Identifier: MIT
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { XdpctlError } from "../errors/index.js";
import {
  CLONE_NEWNET,
  CLONE_NEWNS,
  inNamespaces,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_REC,
  MS_SLAVE,
  mount,
  type NamespaceKind,
  namespaceInode,
  ownFileSystemContext,
  ownNamespacePath,
  setHostName,
  setNamespace,
  unmount,
  unshare,
  unshareMounts,
} from "../linux/index.js";
import { EthtoolSocket, openRoute, type RouteSocket } from "../netlink/index.js";
import { hostsPath, labDir, nodeDir } from "./paths.js";
import { shown } from "./shown.js";
import { labNames, type MachineMark } from "./state.js";

const KINDS = ["net", "mnt", "uts"] as const satisfies readonly NamespaceKind[];
type Own = (typeof KINDS)[number];

/** A machine's namespaces, open, and the sockets that work on its network from anywhere. */
export class Machine implements Disposable {
  readonly name: string;
  /** True until its namespaces are bound to files: until then they go when this process ends. */
  readonly fresh: boolean;
  readonly route: RouteSocket;
  readonly ethtool: EthtoolSocket;
  readonly #fds: Partial<Record<Own, number>>;

  /** To be called inside the machine's network namespace. */
  constructor(name: string, fds: Partial<Record<Own, number>>, fresh: boolean) {
    this.name = name;
    this.fresh = fresh;
    this.#fds = fds;
    this.route = openRoute();
    this.ethtool = new EthtoolSocket();
  }

  get net(): number {
    return this.#fds.net ?? -1;
  }

  /** Runs `body` with the calling thread in the machine's network (its files are ours). */
  inNetwork<T>(body: () => T): T {
    return inNamespaces({ net: this.net }, body);
  }

  /** Binds the namespaces to files, so that they stay. */
  pin(lab: string): MachineMark {
    const dir = nodeDir(lab, this.name);
    mkdirSync(dir, { recursive: true });
    const mark: Partial<Record<Own, string>> = {};
    for (const kind of KINDS) {
      const fd = this.#fds[kind];
      if (fd === undefined) continue;
      writeFileSync(`${dir}/${kind}`, "");
      mount(`/proc/thread-self/fd/${fd}`, `${dir}/${kind}`, null, MS_BIND);
      mark[kind] = String(namespaceInode(fd));
    }
    return mark as MachineMark;
  }

  close(): void {
    this.route.close();
    this.ethtool.close();
    for (const fd of Object.values(this.#fds)) closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a machine that runs. */
export function openMachine(lab: string, name: string): Machine {
  const fd = openSync(`${nodeDir(lab, name)}/net`, "r");
  return inNamespaces({ net: fd }, () => new Machine(name, { net: fd }, false));
}

export interface MachinePlan {
  readonly name: string;
  readonly forward: boolean;
  /** What it gets beside its network namespace. */
  readonly namespaces: readonly NamespaceKind[];
  /** Nothing in it speaks IP. */
  readonly silent: boolean;
}

/**
 * Makes machines: each a network namespace, and with mount and UTS namespaces also its own /sys, bpffs and /etc/hosts.
 *
 * All of these are copies of one prepared mount namespace in which no lab's directory is mounted. Otherwise each machine would
 * hold the namespaces of the others, which could then never end.
 */
export function createMachines(lab: string, plans: readonly MachinePlan[], made: (machine: Machine) => void): void {
  if (plans.length === 0) return;
  ownFileSystemContext();
  const cwd = process.cwd();
  const opened: number[] = [];
  const open = (kind: Own): number => {
    const fd = openSync(ownNamespacePath(kind), "r");
    opened.push(fd);
    return fd;
  };
  const home = { net: open("net"), mnt: open("mnt"), uts: open("uts") };
  try {
    for (const plan of plans) if (!plan.namespaces.includes("mnt")) made(createNetwork(plan));
    if (plans.every((plan) => !plan.namespaces.includes("mnt"))) return;
    unshare(CLONE_NEWNS);
    mount("none", "/", null, MS_REC | MS_SLAVE);
    if (existsSync("/etc/hosts")) mount(hostsPath(lab), "/etc/hosts", null, MS_BIND);
    for (const other of labNames()) while (unmount(labDir(other), MNT_DETACH) === 0);
    const template = open("mnt");
    for (const plan of plans) {
      if (!plan.namespaces.includes("mnt")) continue;
      setNamespace(template, "mnt");
      unshare(CLONE_NEWNET);
      unshareMounts(`/proc/self/fd/${home.mnt}`);
      mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
      mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC);
      setHostName(plan.name);
      const fds = Object.fromEntries(KINDS.map((kind) => [kind, openSync(ownNamespacePath(kind), "r")]));
      quietIpv6();
      setForwarding(plan.forward, true);
      made(new Machine(plan.name, fds, true));
    }
  } finally {
    for (const kind of KINDS) setNamespace(home[kind], kind);
    process.chdir(cwd);
    for (const fd of opened) closeSync(fd);
  }
}

function createNetwork({ name, forward, silent }: MachinePlan): Machine {
  unshare(CLONE_NEWNET);
  if (silent) {
    writeSetting("net/ipv6/conf/default/disable_ipv6", "1");
  } else {
    quietIpv6();
    setForwarding(forward, true);
  }
  return new Machine(name, { net: openSync(ownNamespacePath("net"), "r") }, true);
}

const SETTINGS = "/proc/sys";
const IPV4_FORWARD = "net/ipv4/ip_forward";
const IPV6_FORWARD = "net/ipv6/conf/all/forwarding";

function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`${SETTINGS}/${name}`, "latin1").trim();
  } catch {
    return undefined;
  }
}

/**
 * Writes a setting that somebody named, such as `net/ipv4/tcp_syncookies`. Nothing outside of the network's settings is
 * written, whatever the name: XDPCTL_E_LAB_DEPLOY. Returns false where the kernel lacks it.
 */
export function writeNetworkSetting(name: string, value: string): boolean {
  const refuse = (): never => {
    throw new XdpctlError("XDPCTL_E_LAB_DEPLOY", `${shown(name)} is no setting of a machine's own network`);
  };
  if (name.split("/").some((part) => part === "" || part === "." || part === "..")) refuse();
  let path: string;
  try {
    path = realpathSync(`${SETTINGS}/${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  if (!path.startsWith(`${SETTINGS}/net/`)) refuse();
  return writeSetting(path.slice(SETTINGS.length + 1), value);
}

/** Writes a setting of the calling thread's network namespace; returns false where the kernel lacks it. */
function writeSetting(name: string, value: string): boolean {
  try {
    // It never makes a file.
    const fd = openSync(`${SETTINGS}/${name}`, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      writeFileSync(fd, value);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Addresses are usable at once, and nobody but the lab file gives addresses and routes. */
function quietIpv6(): void {
  if (!hasIpv6()) return;
  writeSetting("net/ipv6/conf/default/accept_dad", "0");
  writeSetting("net/ipv6/conf/default/accept_ra", "0");
}

/** Makes a network namespace that somebody else made like ours. In the calling thread's network namespace. */
export function adoptNetwork(forward: boolean): void {
  if (hasIpv6()) for (const of of ["all", "default"]) writeSetting(`net/ipv6/conf/${of}/disable_ipv6`, "0");
  quietIpv6();
  setForwarding(forward, true);
}

/** Turns a machine into a router, or back. In the calling thread's network namespace; `fresh` when that is new. */
export function setForwarding(on: boolean, fresh = false): void {
  const value = on ? "1" : "0";
  // A new namespace has the host's setting for IPv4, and no forwarding for IPv6.
  const names = fresh && !on ? [IPV4_FORWARD] : [IPV4_FORWARD, IPV6_FORWARD];
  for (const name of names) {
    // The write resets other settings, even when it changes nothing.
    if (readSetting(name) === (on ? "0" : "1")) writeSetting(name, value);
  }
}

export function hasIpv6(): boolean {
  return existsSync(`${SETTINGS}/net/ipv6`);
}
