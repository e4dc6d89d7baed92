// SPDX-License-Identifier: MIT
import { createInterface } from "node:readline";
import { type ServedInterface, serveAll } from "../src/xsk/index.js";

// Echo by serveAll, a worker for each of the CPUs in its arguments: `run MS` answers packets and microseconds of CPU time.
const [name = "", ...cpus] = process.argv.slice(2);
const ECHO = "data:text/javascript,export default (frame) => { if (frame.swapMacs()) frame.send(); }";
let served: ServedInterface | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  const [word, ms] = line.split(" ");
  if (word === "open") {
    served = await serveAll(name, ECHO, {
      queues: cpus.map((_, i) => i),
      cpus: cpus.map(Number),
      mode: "native",
      copy: "copy",
      umem: { checked: false },
    });
    console.log("0");
  } else if (word === "run") {
    const packets = async (): Promise<number> => (await served?.statistics())?.total.received ?? 0;
    const before = await packets();
    const cpu = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, Number(ms)));
    const { user, system } = process.cpuUsage(cpu);
    console.log(`${(await packets()) - before} ${user + system}`);
  } else {
    await served?.stop();
    console.log("0");
  }
}
