// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type Qdisc, QDISC_ROOT } from "../netlink/index.js";
import { type Impairment, netemSettings, tbfSettings, withoutNetem } from "./impairment.js";
import type { Ran } from "./kinds/index.js";

/** As in machines of namespaces; of the same numbers, in the words of tc(8). */
const ROOT = "d9c0:";
const CHILD = "d9c1:";
const PARENT = "d9c0:1";

/** An end of a link that is the NIC of a guest. */
export interface GuestEnd {
  /** `g:eth0`, for messages. */
  readonly name: string;
  readonly interface: string;
  readonly mtu: number;
  /** `uname -r` of the guest. */
  readonly kernel: string;
  /** Runs a command in the guest. */
  readonly run: (argv: [string, ...string[]], input?: string) => Ran;
}

interface Shown {
  kind: string;
  handle: string;
  root?: boolean;
  parent?: string;
  options: {
    limit?: number;
    rate?: number;
    burst?: number;
    lat?: number;
    delay?: { delay: number; jitter: number; correlation: number };
    "loss-random"?: { loss: number; correlation: number };
    duplicate?: { duplicate: number };
    reorder?: { reorder: number };
    corrupt?: { corrupt: number };
  };
  bytes: number;
  packets: number;
  drops: number;
  backlog: number;
}

function qdiscs({ name, interface: dev, run }: GuestEnd): Shown[] {
  const { ok, stdout, stderr } = run(["tc", "-j", "-s", "qdisc", "show", "dev", dev]);
  if (ok) return JSON.parse(stdout) as Shown[];
  throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `${name}: its queueing disciplines can't be seen in its guest`, {
    lines: stderr.trim().split("\n"),
  });
}

const isRoot = (one: Shown): boolean => one.root === true && one.handle === ROOT;
const isChild = (one: Shown): boolean => one.parent === PARENT && one.handle === CHILD;

/** The queueing disciplines of a guest's NIC that are ours. */
export function shapedInGuest(end: GuestEnd): { root: Qdisc; child?: Qdisc } | undefined {
  const all = qdiscs(end);
  const root = all.find(isRoot);
  const child = all.find(isChild);
  if (root === undefined) return undefined;
  return {
    root: qdisc(root, 0xd9c0_0000, QDISC_ROOT),
    ...(child && { child: qdisc(child, 0xd9c1_0000, 0xd9c0_0001) }),
  };
}

/** tc shows fractions, and seconds. */
const percent = (share = 0): number => Number((share * 100).toFixed(6));
const micros = (seconds = 0): number => Math.round(seconds * 1e6);

function qdisc({ kind, options, bytes, packets, drops, backlog }: Shown, handle: number, parent: number): Qdisc {
  const { limit = 0, rate = 0, burst = 0, lat = 0, delay, duplicate, reorder, corrupt } = options;
  const loss = options["loss-random"];
  // Of the queue it shows how long the last of it waits.
  const tbf = { rate: rate * 8, burst, limit: Math.round((lat / 1e6) * rate + burst) };
  const netem = {
    delay: micros(delay?.delay),
    jitter: micros(delay?.jitter),
    jitterCorrelation: percent(delay?.correlation),
    loss: percent(loss?.loss),
    lossCorrelation: percent(loss?.correlation),
    duplicate: percent(duplicate?.duplicate),
    reorder: percent(reorder?.reorder),
    corrupt: percent(corrupt?.corrupt),
    limit,
  };
  const settings = kind === "tbf" ? { tbf } : kind === "netem" ? { netem } : {};
  return { index: 0, kind, handle, parent, ...settings, sent: { bytes, packets }, dropped: drops, backlog };
}

/** The same as `shape`, in a guest and by its kernel. */
export function shapeInGuest(end: GuestEnd, wanted: Impairment): string | undefined {
  const all = qdiscs(end);
  const ours = [all.find(isRoot)?.kind ?? [], all.find(isChild)?.kind ?? []].flat().join();
  const netem = netemSettings(wanted);
  const tbf = tbfSettings(wanted, end.mtu);
  const kinds = [netem === undefined ? [] : "netem", tbf === undefined ? [] : "tbf"].flat().join();
  const at = `dev ${end.interface}`;
  const lines: string[] = [];
  if (ours !== "" && ours !== kinds) lines.push(`qdisc del ${at} root`);
  const other = all.find((one) => one.root === true && one.handle !== "0:" && one.handle !== ROOT);
  if (kinds !== "" && other !== undefined) {
    const text = `${end.name} has a queueing discipline ${other.kind} of someone else`;
    const remedy = "`tc qdisc del dev IF root` in that machine removes it";
    throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", text, { remedy });
  }
  if (netem !== undefined) {
    const { delay, jitter, jitterCorrelation, loss, lossCorrelation, duplicate, corrupt, reorder, limit } = netem;
    const words = [`netem limit ${limit}`];
    if (delay > 0) words.push(`delay ${delay}us`);
    if (jitter > 0) words.push(`${jitter}us ${jitterCorrelation}%`);
    if (loss > 0) words.push(`loss random ${loss}% ${lossCorrelation}%`);
    if (duplicate > 0) words.push(`duplicate ${duplicate}%`);
    if (corrupt > 0) words.push(`corrupt ${corrupt}%`);
    if (reorder > 0) words.push(`reorder ${reorder}%`);
    lines.push(`qdisc replace ${at} root handle ${ROOT} ${words.join(" ")}`);
  }
  if (tbf !== undefined) {
    const place = netem === undefined ? `root handle ${ROOT}` : `parent ${PARENT} handle ${CHILD}`;
    lines.push(`qdisc replace ${at} ${place} tbf rate ${tbf.rate}bit burst ${tbf.burst} limit ${tbf.limit}`);
  }
  if (lines.length === 0) return undefined;
  const { ok, stderr } = end.run(["tc", "-batch", "-"], `${lines.join("\n")}\n`);
  return ok ? undefined : refused(end, wanted, netem !== undefined, stderr);
}

/** tc does not say which of two disciplines it is that the kernel does not know: a netem comes first. */
function refused(end: GuestEnd, wanted: Impairment, hasNetem: boolean, stderr: string): string {
  if (!/qdisc kind is unknown|No such file/.test(stderr)) {
    throw new XdpctlError("XDPCTL_E_LAB_DEPLOY", `${end.name} can't be impaired in its guest`, {
      lines: stderr.trim().split("\n"),
    });
  }
  const asked = hasNetem ? "delay, jitter, loss and the like" : "rate";
  const message = `${end.name}: ${asked} can't be set: the guest's kernel ${end.kernel} has no sch_${hasNetem ? "netem" : "tbf"}`;
  if (wanted.optional !== true || !hasNetem) {
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", message, {
      remedy: "give the machine a `kernel:` that has it, built in or as a module",
    });
  }
  shapeInGuest(end, withoutNetem(wanted));
  return message;
}
