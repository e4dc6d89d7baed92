// SPDX-License-Identifier: MIT
/* Lua on packets beside other filters, as XDPLua was measured: a stream beside a flood, and transactions one by one. */
import { Filtered, type FilterKind, hasNft } from "../filtered.js";
import { median } from "../legs.js";
import type { Row } from "../row.js";

const FLOOD = 150_000;
const FLOOD_PORT = "80";
const PORT = "5010";
const KINDS: readonly FilterKind[] = hasNft ? ["none", "bpf", "nft", "lua"] : ["none", "bpf", "lua"];
const NAMES: Record<FilterKind, string> = { none: "no filter", bpf: "eBPF: guard, deny", nft: "nftables", lua: "Lua" };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Stream {
  bits: number;
  flood: number;
}

/** Bits a second of a stream to `PORT`, while SYNs come to another port, which `kind` drops. */
async function stream(kind: FilterKind | "quiet", ms: number): Promise<Stream> {
  const policy = ["examples/policies/packet-port.lua", "--arg", `to=${FLOOD_PORT}`];
  const machine = await Filtered.start(kind === "quiet" ? "none" : kind, policy, ["--port", FLOOD_PORT]);
  try {
    const { rightAddress } = machine.pair;
    await machine.tcp("right", "sink", PORT);
    const client = await machine.tcp("left", "stream", rightAddress, PORT);
    if (kind === "quiet") {
      await client.ask("300");
      return { bits: Number(await client.ask(`${ms}`)), flood: 0 };
    }
    const flood = await machine.tcp("left", "syn", rightAddress, FLOOD_PORT, `${FLOOD}`);
    await client.ask("500");
    const [before, started] = [Number(await flood.ask("?")), performance.now()];
    const bits = Number(await client.ask(`${ms}`));
    const sent = Number(await flood.ask("?")) - before;
    return { bits, flood: sent / ((performance.now() - started) / 1000) };
  } finally {
    await machine.close();
  }
}

/** Transactions a second, each packet of which `kind` looks at. */
async function transactions(kind: FilterKind, ms: number): Promise<number> {
  const machine = await Filtered.start(kind, ["bench/policies/packets-see.lua"], ["--port", FLOOD_PORT]);
  try {
    await machine.tcp("right", "echo", PORT);
    const client = await machine.tcp("left", "rr", machine.pair.rightAddress, PORT);
    await sleep(200);
    await client.ask("300");
    return Number(await client.ask(`${ms}`));
  } finally {
    await machine.close();
  }
}

/** Runs all kinds in turns, every other round backwards. */
async function rounds<K extends string, T>(kinds: readonly K[], legs: number, leg: (kind: K) => Promise<T>) {
  const found = Object.fromEntries(kinds.map((kind) => [kind, [] as T[]])) as Record<K, T[]>;
  for (let round = 0; round < legs; round++)
    for (const kind of round % 2 === 0 ? kinds : [...kinds].reverse()) found[kind].push(await leg(kind));
  return found;
}

function row(what: string, ours: string, theirs: string, ratio: number, note: string): Row {
  return { what, xdpctl: ours, beside: theirs, ratio: ratio.toFixed(2), wanted: "", ok: true, note };
}

export async function rivals(legs: number, ms: number): Promise<Row[]> {
  const streams = await rounds(["quiet", ...KINDS] as const, legs, (kind) => stream(kind, ms));
  const bits = (kind: FilterKind | "quiet"): number => median(streams[kind].map((one) => one.bits));
  const mbit = (n: number): string => `${(n / 1e6).toFixed(0)} Mbit/s`;
  const rows: Row[] = [];
  for (const kind of ["quiet", ...KINDS] as const) {
    if (kind === "lua") continue;
    const name = kind === "quiet" ? "no flood, no filter" : NAMES[kind];
    const flood = (kind: FilterKind): string =>
      `${(median(streams[kind].map((one) => one.flood)) / 1000).toFixed(0)} k`;
    const note = kind === "quiet" ? `${legs} legs each` : `SYNs a second: ${flood("lua")} and ${flood(kind)}`;
    const what = `TCP stream beside a flood of SYNs to port ${FLOOD_PORT}, dropped by Lua`;
    rows.push(row(what, mbit(bits("lua")), `${mbit(bits(kind))} (${name})`, bits("lua") / bits(kind), note));
  }
  const found = await rounds(KINDS, legs, (kind) => transactions(kind, ms));
  const rate = (kind: FilterKind): number => median(found[kind]);
  for (const kind of KINDS) {
    if (kind === "lua") continue;
    const more = 1e6 / rate("lua") - 1e6 / rate(kind);
    const what = "TCP transactions (1 byte there, 1 back), each packet seen by Lua and passed";
    const beside = `${rate(kind).toFixed(0)}/s (${NAMES[kind]})`;
    const note = `a transaction takes ${more.toFixed(0)} µs more`;
    rows.push(row(what, `${rate("lua").toFixed(0)}/s`, beside, rate("lua") / rate(kind), note));
  }
  return rows;
}
