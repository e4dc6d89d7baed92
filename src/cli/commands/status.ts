// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { InterfaceStatus, Methods, VerdictCount } from "../../rpc/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { formatCompact, formatSince, parseDuration } from "../quantities.js";
import { type Cell, layout } from "../table.js";
import type { Column } from "../terminal.js";
import { watch } from "../watch.js";

type Status = Methods["status"]["result"];
type VerdictName = keyof NonNullable<InterfaceStatus["counters"]>;

const RATES: readonly VerdictName[] = ["pass", "drop", "tx", "redirect"];

function owner(status: InterfaceStatus): string | null {
  if (status.owner === null) return null;
  if (status.owner === "other") return "someone else";
  if (status.owner === "unknown") return "?";
  return status.policies.length === 0 ? "xdpctl" : `xdpctl (policy: ${status.policies.join(", ")})`;
}

function known(interfaces: readonly InterfaceStatus[]): boolean {
  return interfaces.some((i) => i.counters !== null && RATES.some((v) => i.counters?.[v].perSecond !== undefined));
}

/** The table: totals, and packets per second where someone has counted them. */
export function statusTable(
  interfaces: readonly InterfaceStatus[],
  now = Date.now(),
): { columns: Column[]; rows: Cell[][] } {
  const rates = known(interfaces);
  const lost = interfaces.some((i) => i.lost !== null && Number(i.lost) > 0);
  const right = (title: string): Column => ({ title, align: "right" });
  const columns: Column[] = [
    { title: "INTERFACE" },
    { title: "PROGRAM" },
    { title: "MODE" },
    right("ID"),
    { title: "SINCE" },
    ...(rates
      ? ["PASS", "DROP", "PASS/s", "DROP/s", "TX/s", "REDIRECT/s"].map(right)
      : ["PASS", "DROP", "TX", "REDIRECT"].map(right)),
    right("ABORTED"),
    ...(lost ? [right("LOST")] : []),
    { title: "OWNER" },
  ];
  const rows = interfaces.map((i): Cell[] => {
    const unknown = i.program === null ? null : "?";
    const total = (name: VerdictName): Cell => (i.counters === null ? unknown : i.counters[name].packets);
    const rate = (name: VerdictName): Cell => {
      const value = i.counters?.[name].perSecond;
      return value === undefined ? unknown : formatCompact(value);
    };
    return [
      i.interface,
      i.program,
      i.mode,
      i.id,
      i.since === null ? null : formatSince(i.since, now),
      ...(rates ? [total("pass"), total("drop"), ...RATES.map(rate)] : RATES.map(total)),
      total("aborted"),
      ...(lost ? [i.lost] : []),
      owner(i),
    ];
  });
  return { columns, rows };
}

/** Fills in packets per second from the sample before, where the controller did not count them. */
export function withRates(now: Status, before: Status | undefined, seconds: number): Status {
  if (before === undefined || seconds <= 0) return now;
  const interfaces = now.interfaces.map((i): InterfaceStatus => {
    const old = before.interfaces.find((b) => b.ifindex === i.ifindex && b.id === i.id);
    const { counters } = i;
    if (counters === null || old?.counters == null) return i;
    const previous = old.counters;
    const count = (name: VerdictName): VerdictCount => {
      const value = counters[name];
      if (value.perSecond !== undefined) return value;
      const delta = Number(BigInt(value.packets) - BigInt(previous[name].packets));
      return { ...value, perSecond: Math.max(0, delta) / seconds };
    };
    const aborted = count("aborted");
    return {
      ...i,
      counters: { aborted, drop: count("drop"), pass: count("pass"), tx: count("tx"), redirect: count("redirect") },
    };
  });
  return { ...now, interfaces };
}

export function register(program: Command, context: Context): void {
  leaf(program, "status [interface...]", "what is attached where, and what it did with packets", [
    ["xdpctl status", "every interface of this namespace, ours or not"],
    ["xdpctl status eth1 --json", "the same facts as JSON"],
    ["xdpctl status --watch", "again every second"],
    ["xdpctl status --watch 5s", "again every five seconds"],
    ["xdpctl status eth1 --watch --for 10s", "for ten seconds"],
  ])
    .option("-w, --watch [interval]", "show it again and again; every second by default", parser(parseDuration))
    .option("--for <duration>", "with --watch: end after this time", parser(parseDuration))
    .action(async (interfaces: string[], options: { watch?: number | true; for?: number }) => {
      interfaces.forEach(interfaceName);
      if (options.for !== undefined && options.watch === undefined) throw usage("--for says how long --watch goes on");
      const backend = await context.backend();
      const params = interfaces.length === 0 ? {} : { interfaces };
      if (options.watch === undefined) {
        const status = await backend.request("status", params);
        const { columns, rows } = statusTable(status.interfaces);
        context.terminal.table(columns, rows);
        if (status.interfaces.some((i) => i.owner === "unknown")) {
          if (!context.terminal.jsonMode)
            context.terminal.note("? needs CAP_BPF and CAP_NET_ADMIN (or root) to be known");
        }
        context.terminal.json(status);
        return;
      }
      const seconds = options.watch === true ? 1 : options.watch;
      let before: { at: number; status: Status } | undefined;
      await watch(
        context,
        seconds,
        async () => {
          const status = await backend.request("status", params);
          const at = performance.now();
          const filled = withRates(status, before?.status, before === undefined ? 0 : (at - before.at) / 1000);
          before = { at, status };
          return filled;
        },
        (status) => {
          const { columns, rows } = statusTable(status.interfaces);
          return layout(columns, rows);
        },
        (status) => ({ time: new Date().toISOString(), ...status }),
        options.for,
      );
    });
}
