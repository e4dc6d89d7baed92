// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { cProgram } from "../build.js";
import type { Observed } from "../controller.js";
import { alternate, median } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote, type Row } from "../row.js";
import { Traffic } from "../traffic.js";
import { rivals } from "./packets-rivals.js";

/** What is sent a second: for drop more than Lua answers, for pass less than what makes the ring overflow. */
const OFFERED = { drop: 250_000, pass: 10_000 };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls of the hook a second while packets are offered; or what comes to a socket behind it. */
async function lua(answer: "drop" | "pass", ms: number): Promise<number> {
  const pair = new TestPair({ net: 1 });
  const argv = [process.execPath, "build/bench/controller.mjs", "eth0", `bench/policies/packets-${answer}.lua`];
  const owner = new LineProcess(pair.right.argv(...argv));
  try {
    await owner.receive();
    const traffic = await Traffic.start(pair, OFFERED[answer]);
    await sleep(500);
    const calls = async (): Promise<number> => (JSON.parse(await owner.ask("how many")) as Observed).calls;
    const [before, started] = [await calls(), performance.now()];
    await sleep(ms);
    const rate = ((await calls()) - before) / ((performance.now() - started) / 1000);
    const { sent, lost } = await traffic.stop();
    return answer === "drop" ? rate : rate * ((sent - lost) / sent);
  } finally {
    await owner.close();
    pair.close();
  }
}

/** The same packets, received and dropped by C on libxdp. */
async function c(ms: number): Promise<number> {
  const pair = new TestPair({ net: 2 });
  const side = new LineProcess(pair.right.argv(cProgram("xsk", ["xdp", "bpf"]), "drop", "eth0", "poll"));
  try {
    const traffic = await Traffic.start(pair, OFFERED.drop);
    await side.ask("open");
    await sleep(500);
    const [packets = 0, ns = 1] = (await side.ask(`run ${ms}`)).split(" ").map(Number);
    await side.ask("close");
    await traffic.stop();
    return packets / (ns / 1e9);
  } finally {
    await side.close();
    pair.close();
  }
}

export const packetsLua: Benchmark = async ({ quick }) => {
  const ms = quick ? 1000 : 3000;
  const legs = { legs: quick ? 1 : 3, tolerated: 0.5 };
  const drop = await alternate(
    () => lua("drop", ms),
    () => c(ms),
    legs,
  );
  const pass = [];
  for (let i = 0; i < legs.legs; i++) pass.push(await lua("pass", ms));
  const kpps = (values: number[]): string => `${(median(values) / 1000).toFixed(1)} k packets/s`;
  const rows: Row[] = [
    {
      what: `packet → Lua hook → drop (${OFFERED.drop / 1000} k offered; C: as many as are offered, no Lua)`,
      xdpctl: kpps(drop.ours),
      beside: `${kpps(drop.theirs)} (C libxdp)`,
      ratio: (median(drop.ours) / median(drop.theirs)).toFixed(2),
      wanted: "",
      ok: true,
      note: legsNote(drop),
    },
    {
      what: `packet → Lua hook → pass → a socket behind it (${OFFERED.pass / 1000} k offered)`,
      xdpctl: kpps(pass),
      beside: "",
      ratio: "",
      wanted: "",
      ok: true,
      note: "each goes into the stack by a live test run of its own",
    },
  ];
  return [...rows, ...(await rivals(legs.legs, ms))];
};
