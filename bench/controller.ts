// SPDX-License-Identifier: MIT
/*
 * A controller with a guard and a policy, as `xdpctl run` is one, that also measures how late its own timers are. Each line
 * on standard input is answered with what happened since the last.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Controller } from "../src/control/index.js";
import { Loop } from "../src/loop/index.js";

/** What a line is answered with, as JSON. */
export interface Observed {
  /** Hooks called since the start. */
  calls: number;
  /** Events lost since the start: in the kernel's ring, and on the way to the policy. */
  lost: { ring: number; policy: number };
  /** The latest timer since the last line, in ms: of the loop's timerfds, and of Node. */
  late: { loop: number; node: number };
  /** Resident memory, in MiB. */
  rss: number;
  /** The policy's last error. */
  error: string | null;
}

const TICK = 10;
const [name = "", file = "", ringSize = "4194304"] = process.argv.slice(2);

const loop = new Loop();
const controller = await Controller.start({ kind: "run", loop, cpus: [0, 1] });
const { attachments } = await controller.request("load", {
  program: "guard",
  interfaces: [name],
  mode: "native",
  force: false,
  keep: false,
  ringSize: Number(ringSize),
});
await controller.request("rule.add", { action: "deny", address: "198.18.0.0/15" });
await controller.request("policy.load", { file, args: [] });
const { maps } = await controller.request("map.list", { all: false });
const deny = maps.find((map) => map.name === "deny_v4");

let lostInRing = 0;
await controller.subscribe("events", { types: ["lost"] }, (event) => {
  if (event.type === "lost" && event.where === "ring") lostInRing += event.count;
});

const late = { loop: 0, node: 0 };
const watch = (kind: keyof typeof late): (() => void) => {
  let due = performance.now() + TICK;
  return () => {
    const now = performance.now();
    late[kind] = Math.max(late[kind], now - due);
    // From now on: a timer that is late once is not late for ever.
    due = now + TICK;
  };
};
loop.every(TICK, watch("loop"));
const interval = setInterval(watch("node"), TICK);

async function observe(): Promise<Observed> {
  const { policies } = await controller.request("policy.list", {});
  const [policy] = policies;
  const observed: Observed = {
    calls: policy?.calls ?? 0,
    lost: { ring: lostInRing, policy: policy?.lost ?? 0 },
    late: { ...late },
    rss: Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024,
    error: policy?.lastError ?? null,
  };
  late.loop = 0;
  late.node = 0;
  return observed;
}

console.log(`${attachments[0]?.id} ${attachments[0]?.ifindex} ${deny?.id}`);
for await (const _line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await observe()));
clearInterval(interval);
await controller.close();
loop.close();
