// SPDX-License-Identifier: MIT
import { PerformanceObserver } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { keepOnCpus } from "../src/linux/index.js";
import { nsInCalls } from "./timed-ffi.js";
import { scavengeOnOneThread, type Frame, type FrameHandler, Umem, type Wait, XskSocket } from "../src/xsk/index.js";

// The other side of bench/c/xsk.c: the same arguments, lines and answers, on our library; `state` is asked by the soak.
const [what = "drop", name = "", wait = "poll", cpu = "1"] = process.argv.slice(2);
const LENGTH = 60;
const BATCH = 256;
keepOnCpus([Number(cpu)]);

const reflect: FrameHandler = (frame: Frame) => {
  frame.swapMacs();
  frame.send();
};
/** Addresses and ports as well: the answer of a UDP echo server. */
const answer: FrameHandler = (frame: Frame) => {
  const { view, start } = frame;
  if (!frame.swapMacs()) return;
  if (frame.length >= 42) {
    const source = view.getInt32(start + 26, true);
    view.setInt32(start + 26, view.getInt32(start + 30, true), true);
    view.setInt32(start + 30, source, true);
    const ports = view.getInt32(start + 34, true);
    view.setInt32(start + 34, (ports >>> 16) | (ports << 16), true);
  }
  frame.send();
};
const ignore: FrameHandler = (frame) => frame.drop();
const make: FrameHandler = (frame) => {
  frame.growTail(LENGTH);
  frame.send();
};

const HANDLERS: Record<string, FrameHandler> = { echo: reflect, udp: answer };

let umem: Umem | undefined;
let nic: XskSocket | undefined;

async function run(ms: number): Promise<string> {
  if (nic === undefined) throw new Error("not open");
  const socket = nic;
  const before = socket.statistics;
  const callsBefore = nsInCalls();
  const started = process.hrtime.bigint();
  if (what === "tx") {
    const end = performance.now() + ms;
    do {
      for (let i = 0; i < 16; i++) if (socket.produce(BATCH, make) === 0) socket.writable(10);
    } while (performance.now() < end);
  } else {
    const timer = setTimeout(() => socket.stop(), ms);
    await socket.serve(HANDLERS[what] ?? ignore, { wait: wait as Wait });
    clearTimeout(timer);
  }
  const elapsed = Number(process.hrtime.bigint() - started);
  const inCalls = nsInCalls() - callsBefore;
  const after = socket.statistics;
  const packets = what === "tx" ? after.sent - before.sent : after.received - before.received;
  const calls = [after.sendWakeups - before.sendWakeups, after.waits - before.waits];
  return [packets, elapsed, calls[0], Math.round(elapsed - inCalls), calls[1]].join(" ");
}

let longest = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
}).observe({ entryTypes: ["gc"] });

for await (const line of createInterface({ input: process.stdin })) {
  const [word, ms] = line.split(" ");
  if (word === "open") {
    umem = Umem.create({ frameSize: 2048, frameCount: 4096, checked: false });
    nic = XskSocket.open(umem, name, { mode: "native", copy: "copy" });
    scavengeOnOneThread();
    console.log("0");
  } else if (word === "run") console.log(await run(Number(ms)));
  else if (word === "state") {
    // The longest pause since the last time, what the process holds, and the frames that are free.
    console.log([longest, process.memoryUsage.rss(), umem?.free, nic?.statistics.sending].join(" "));
    longest = 0;
  } else {
    umem?.close();
    console.log("0");
  }
}
