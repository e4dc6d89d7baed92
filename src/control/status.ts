// SPDX-License-Identifier: MIT
import { BpfProgram, bootTimeToDate } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { Link } from "../netlink/index.js";
import type { InterfaceStatus } from "../rpc/index.js";
import {
  type Attachments,
  isStats,
  noCounts,
  readCounts,
  readLost,
  VERDICT_NAMES,
  type VerdictCounts,
} from "../xdp/index.js";
import { plainCount } from "./plain.js";

/** Packets per second by interface and verdict, where someone measures them. */
export type Rates = (ifindex: number, verdict: (typeof VERDICT_NAMES)[number]) => number | undefined;

/** The counts of all our interfaces: one pass over each `stats` map. */
export function allCounts(attachments: Attachments): Map<number, VerdictCounts> {
  const all = new Map<number, VerdictCounts>();
  for (const instance of attachments.instances) {
    const { stats } = instance.maps;
    if (!isStats(stats)) continue;
    const counts = readCounts(stats);
    for (const held of attachments.all) {
      if (held.instance === instance) all.set(held.ifindex, counts.get(held.ifindex) ?? noCounts());
    }
  }
  return all;
}

/** What is on every interface, ours or not; `lo` only when it has a program. Throws XDPCTL_E_NO_INTERFACE. */
export function statusOf(
  attachments: Attachments,
  names: readonly string[] | undefined,
  extra: { rates?: Rates; policies?: (ifindex: number) => string[] } = {},
): InterfaceStatus[] {
  const links = attachments.links();
  const chosen =
    names === undefined || names.length === 0
      ? links.filter((link) => link.name !== "lo" || link.xdp.mode !== "none")
      : names.map((name) => attachments.link(name, links));
  const counts = allCounts(attachments);
  return chosen.map((link) => one(attachments, link, counts.get(link.index), extra));
}

function one(
  attachments: Attachments,
  link: Link,
  counts: VerdictCounts | undefined,
  extra: { rates?: Rates; policies?: (ifindex: number) => string[] },
): InterfaceStatus {
  const held = attachments.get(link.index);
  const attached = link.xdp.mode !== "none";
  const id = attached ? link.xdp.progId : null;
  const ours = held !== undefined && held.instance.id === id;
  const program =
    id === null ? undefined : ours ? { name: held.instance.name, info: held.instance.program.info } : foreign(id);
  const mode = link.xdp.mode === "multi" ? "native" : link.xdp.mode;
  return {
    interface: link.name,
    ifindex: link.index,
    up: link.up,
    program: attached ? (program?.name ?? "?") : null,
    mode: mode === "none" ? null : mode,
    id,
    since: program?.info === undefined ? null : bootTimeToDate(program.info.loadedAt).toISOString(),
    owner: !attached ? null : ours ? "xdpctl" : attachments.seesOurs ? "other" : "unknown",
    pinned: ours && held.pinned,
    policies: ours ? (extra.policies?.(link.index) ?? []) : [],
    counters: ours && counts !== undefined ? counters(link.index, counts, extra.rates) : null,
    lost: ours && held.instance.maps.lost !== undefined ? plainCount(readLost(held.instance.maps.lost)) : null,
  };
}

function foreign(id: number): { name: string; info: BpfProgram["info"] | undefined } {
  try {
    const program = BpfProgram.fromId(id);
    if (program === undefined) return { name: "?", info: undefined };
    const { info } = program;
    program.close();
    return { name: info.name || "?", info };
  } catch (error) {
    // Without CAP_SYS_ADMIN the kernel shows the id alone.
    if (XdpctlError.is(error)) return { name: "?", info: undefined };
    throw error;
  }
}

function counters(
  ifindex: number,
  counts: VerdictCounts,
  rates: Rates | undefined,
): NonNullable<InterfaceStatus["counters"]> {
  const entries = VERDICT_NAMES.map((verdict) => {
    const { packets, bytes } = counts[verdict];
    const perSecond = rates?.(ifindex, verdict);
    return [
      verdict,
      { packets: plainCount(packets), bytes: plainCount(bytes), ...(perSecond === undefined ? {} : { perSecond }) },
    ];
  });
  return Object.fromEntries(entries) as NonNullable<InterfaceStatus["counters"]>;
}
