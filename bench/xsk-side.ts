// SPDX-License-Identifier: MIT
import { createInterface } from "node:readline";
import { keepOnCpus } from "../src/linux/index.js";
import { type Frame, type FrameHandler, Umem, type Wait, XskSocket } from "../src/xsk/index.js";

// The other side of bench/c/xsk.c: the same arguments, lines and answers, on our library.
const [what = "drop", name = "", wait = "poll", cpu = "1"] = process.argv.slice(2);
const LENGTH = 60;
const BATCH = 256;
keepOnCpus([Number(cpu)]);

const reflect: FrameHandler = (frame: Frame) => {
  frame.swapMacs();
  frame.send();
};
const ignore: FrameHandler = (frame) => frame.drop();
const make: FrameHandler = (frame) => {
  frame.growTail(LENGTH);
  frame.send();
};

let umem: Umem | undefined;
let nic: XskSocket | undefined;

async function run(ms: number): Promise<string> {
  if (nic === undefined) throw new Error("not open");
  const socket = nic;
  const before = socket.statistics;
  const cpuBefore = process.cpuUsage();
  const started = process.hrtime.bigint();
  if (what === "tx") {
    const end = performance.now() + ms;
    do {
      for (let i = 0; i < 16; i++) if (socket.produce(BATCH, make) === 0) socket.writable(10);
    } while (performance.now() < end);
  } else {
    const timer = setTimeout(() => socket.stop(), ms);
    await socket.serve(what === "echo" ? reflect : ignore, { wait: wait as Wait });
    clearTimeout(timer);
  }
  const elapsed = Number(process.hrtime.bigint() - started);
  const used = process.cpuUsage(cpuBefore);
  const after = socket.statistics;
  const packets = what === "tx" ? after.sent - before.sent : after.received - before.received;
  const calls = [after.sendWakeups - before.sendWakeups, after.waits - before.waits];
  return [packets, elapsed, calls[0], used.user, used.system, calls[1]].join(" ");
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, ms] = line.split(" ");
  if (word === "open") {
    umem = Umem.create({ frameSize: 2048, frameCount: 4096, checked: false });
    nic = XskSocket.open(umem, name, { mode: "native", copy: "copy" });
    console.log("0");
  } else if (word === "run") console.log(await run(Number(ms)));
  else {
    umem?.close();
    console.log("0");
  }
}
