// SPDX-License-Identifier: MIT
import { BpfObject, type BpfProgram, builtinPath } from "../../src/bpf/index.js";
import { attach } from "../../src/xdp/index.js";
import { TestPair } from "../../test/fixtures/netns.js";
import { cProgram } from "../build.js";
import { LineProcess } from "../lines.js";
import type { Benchmark } from "../row.js";
import { Traffic } from "../traffic.js";

const RATE = 12_500;

interface Outcome {
  replaces: number;
  sent: number;
  lost: number;
  /** Of one replace. */
  ms: number;
}

/** Replaces in chunks until enough replaces were made and enough packets sent, whichever comes last. */
async function underTraffic(
  pair: TestPair,
  chunk: (count: number) => Promise<number> | number,
  { replaces, packets }: { replaces: number; packets: number },
): Promise<Outcome> {
  const traffic = await Traffic.start(pair, RATE);
  let made = 0;
  let ms = 0;
  while (made < replaces || (await traffic.sent()) < packets) {
    ms += (await chunk(50)) * 50;
    made += 50;
  }
  return { replaces: made, ms: ms / made, ...(await traffic.stop()) };
}

const text = ({ lost, sent, replaces, ms }: Outcome): string =>
  `${lost} of ${sent} lost, ${replaces} replaces, ${ms.toFixed(1)} ms each`;

/** Packets lost while the program on their interface is replaced again and again. */
export const replace: Benchmark = async ({ quick }) => {
  const goal = quick ? { replaces: 100, packets: 5000 } : { replaces: 1000, packets: 100_000 };
  const pair = new TestPair();
  const objects: BpfObject[] = [];
  try {
    const path = builtinPath("pass");
    const c = new LineProcess(pair.right.argv(cProgram("replace"), path, "eth0"));
    await c.receive();
    const theirs = await underTraffic(pair, async (count) => Number(await c.ask(`${count}`)), goal);
    await c.close();

    for (let i = 0; i < 2; i++) objects.push(await BpfObject.load(path, { trusted: true }));
    const programs = objects.map((object) => Object.values(object.programs)[0] as BpfProgram);
    const [first, second] = programs as [BpfProgram, BpfProgram];
    const attachment = pair.right.run(() => attach(first, "eth0", { mode: "native" }));
    const chunk = (count: number): number => {
      const started = performance.now();
      for (let i = 0; i < count; i++) attachment.replace(i % 2 === 0 ? second : first);
      return (performance.now() - started) / count;
    };
    const ours = await underTraffic(pair, chunk, goal);
    attachment.close();
    return [
      {
        what: "replace under traffic",
        xdpctl: text(ours),
        beside: `${text(theirs)} (C libbpf)`,
        ratio: (theirs.ms / ours.ms).toFixed(2),
        wanted: `0 of ${goal.packets} lost in ${goal.replaces}`,
        ok: ours.lost === 0,
        note: `${RATE} packets/s`,
      },
    ];
  } finally {
    for (const object of objects) object.close();
    pair.close();
  }
};
