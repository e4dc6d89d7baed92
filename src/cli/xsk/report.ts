// SPDX-License-Identifier: MIT
import type { XskSocket, XskStatistics } from "../../xsk/index.js";
import type { Live } from "../context.js";
import { formatCompact } from "../quantities.js";
import { layout } from "../table.js";

/** What a command counts besides its sockets, by name: `answered`, `resets`. */
export type Counts = Record<string, number>;

/** A socket at work, and what its command counts of it. */
export interface Counted {
  readonly nic: XskSocket;
  readonly counts: Readonly<Counts>;
}

/** Where the packets of a socket, or of several together, went. */
export interface Column {
  readonly title: string;
  /** What its JSON begins with. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly statistics: XskStatistics;
  readonly counts: Readonly<Counts>;
  /** Frames of the interface that our program left to the network stack; undefined where it is not known for this one. */
  readonly passed: number | undefined;
}

/** A table of all, or in JSON one object for each. */
export function writeReport(
  live: Live,
  json: boolean,
  columns: readonly Column[],
  seconds: number,
  last: boolean,
): void {
  if (!json) live.write(`${table(columns, seconds).join("\n")}\n`);
  else for (const column of columns) live.write(`${jsonOf(column, seconds, last)}\n`);
}

/** Writes where the packets of sockets of this thread went. */
export class Report {
  readonly #live: Live;
  readonly #json: boolean;
  readonly #counted: readonly Counted[];
  readonly #started = performance.now();

  constructor(live: Live, json: boolean, counted: readonly Counted[]) {
    this.#live = live;
    this.#json = json;
    this.#counted = counted;
  }

  show(last: boolean): void {
    const seconds = (performance.now() - this.#started) / 1000;
    writeReport(this.#live, this.#json, this.#counted.map(columnOf), seconds, last);
  }
}

function columnOf({ nic, counts }: Counted): Column {
  return { title: nic.interface, facts: placeOf(nic), statistics: nic.statistics, counts, passed: passedBy(nic) };
}

/** What the redirect program left to the network stack, of all queues together; undefined without ours. */
export function passedBy({ redirected }: Pick<XskSocket, "redirected">): number | undefined {
  return redirected === undefined ? undefined : Number(redirected.pass.packets);
}

/** What a socket came to, as a person and a program are told. */
export function placeOf(nic: XskSocket) {
  return { interface: nic.interface, queue: nic.queue, mode: nic.mode ?? null, copy: nic.copy };
}

function jsonOf({ facts, statistics, counts, passed }: Column, seconds: number, last: boolean): string {
  return JSON.stringify({ ...facts, seconds, ...statistics, ...counts, passed, ...(last ? { last } : {}) });
}

const ROWS: readonly [string, (s: XskStatistics) => number, string][] = [
  ["received", (s) => s.received, "from the RX ring"],
  ["sent", (s) => s.sent, "into the TX ring"],
  ["forwarded", (s) => s.forwarded, "to another socket"],
  ["taken", (s) => s.taken, "kept as packets"],
  ["dropped", (s) => s.dropped, "by the program"],
  ["TX ring full", (s) => s.txRingFull, "dropped: the kernel did not send fast enough"],
  ["no free frame", (s) => s.noFrame, "dropped: too long for the frames that they came in"],
  ["invalid", (s) => s.invalid, "dropped: empty, or not inside their frame"],
  ["RX ring full", (s) => s.rxRingFull, "dropped by the kernel: the program was too slow"],
  [
    "fill ring empty",
    (s) => s.fillRingEmpty,
    "dropped by the kernel: no frame to receive into; with zero copy, looks for one",
  ],
  ["RX dropped", (s) => s.rxDropped, "dropped by the kernel: too long for a frame, or other reasons"],
  ["RX invalid", (s) => s.rxInvalid, "descriptors of the fill ring that the kernel refused"],
  ["TX invalid", (s) => s.txInvalid, "descriptors of the TX ring that the kernel refused"],
  ["wake-ups", (s) => s.sendWakeups + s.receiveWakeups, "calls of sendto and recvfrom"],
  ["waits", (s) => s.waits, "times that it slept: poll, a nap, or the event loop"],
];
const ALWAYS: ReadonlySet<string> = new Set(["received", "sent", "dropped", "wake-ups"]);

/** What commands count of their own: the row's title, and what it says. */
const OWN: Readonly<Record<string, readonly [title: string, where: string]>> = {
  answered: ["answered", "became their answer"],
  matched: ["matched", "segments that say the word"],
  resets: ["resets", "made in their place"],
  unreset: ["not reset", "senders that got none: the TX ring was full, or no frame free"],
  words: ["words", "replaced in datagrams"],
  noRoom: ["no room", "left as they were: the result did not fit"],
  tunnelled: ["tunnelled", "sent on as datagrams; their frames count as dropped"],
  lost: ["lost", "datagrams that the kernel did not send"],
  emerged: ["emerged", "datagrams that became frames"],
  unshown: ["not shown", "the reader of --dump was too slow"],
  malformed: ["malformed", "datagrams that can be no frame"],
};

/** Where the packets of one socket went. */
export function statisticsText(nic: XskSocket, seconds: number): string[] {
  return table([columnOf({ nic, counts: {} })], seconds);
}

/** The one table that answers where the packets went: a column of numbers for each. */
function table(columns: readonly Column[], seconds: number): string[] {
  const all = columns.map(({ statistics }) => statistics);
  const rows: [string, number[], string][] = ROWS.map(([what, of, where]) => [what, all.map(of), where]);
  const own = new Set(columns.flatMap(({ counts }) => Object.keys(counts)));
  const at = rows.findIndex(([what]) => what === "dropped");
  const ours = [...own].map((name): [string, number[], string] => {
    const [title, where] = OWN[name] ?? [name, ""];
    return [title, columns.map(({ counts }) => counts[name] ?? 0), where];
  });
  rows.splice(at, 0, ...ours);
  const passed = columns.map((column) => column.passed ?? 0);
  rows.splice(1, 0, ["passed", passed, "to the network stack: too large, of no rule, or by a queue without a socket"]);
  const shown = rows.filter((row) => row[1].some((n) => n > 0) || ALWAYS.has(row[0]) || ours.includes(row));
  const rate = (n: number): string => `${formatCompact(n / Math.max(seconds, 0.001))}/s`;
  const titles = columns.length === 1 ? ["COUNT"] : columns.map(({ title }) => title);
  return layout(
    [
      { title: "PACKETS" },
      ...titles.flatMap((title) => [
        { title, align: "right" as const },
        { title: "RATE", align: "right" as const },
      ]),
      { title: "WHERE" },
    ],
    shown.map(([what, n, where]) => [what, ...n.flatMap((value) => [value, rate(value)]), where]),
  );
}
