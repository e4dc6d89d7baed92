// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { Loop, Output } from "../../src/loop/index.js";

const open: Loop[] = [];
function loop(): Loop {
  const made = new Loop();
  open.push(made);
  return made;
}
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

test("a timer fires at its interval, from Node's own loop", async () => {
  const times: number[] = [];
  const start = performance.now();
  const timer = loop().every(20, () => times.push(performance.now() - start));
  await sleep(210);
  timer.close();
  const n = times.length;
  expect(n).toBeGreaterThanOrEqual(8);
  expect(n).toBeLessThanOrEqual(11);
  await sleep(60);
  expect(times.length).toBe(n);
});

test("a late turn tells how many expirations it missed", async () => {
  let missed = 0;
  const timer = loop().every(10, (n) => {
    missed += n;
  });
  await sleep(15);
  const until = performance.now() + 100;
  while (performance.now() < until);
  await sleep(20);
  timer.close();
  expect(missed).toBeGreaterThanOrEqual(8);
});

test("a one-shot fires once, a closed loop never", async () => {
  let fired = 0;
  const one = loop();
  one.after(5, () => fired++);
  await sleep(40);
  expect(fired).toBe(1);
  one.after(5, () => fired++);
  one.close();
  await sleep(30);
  expect(fired).toBe(1);
});

test("a loop without descriptors does not keep the process alive, one with a timer does not spin", async () => {
  const usage = process.cpuUsage();
  const timer = loop().every(50, () => undefined);
  await sleep(300);
  timer.close();
  const { user, system } = process.cpuUsage(usage);
  expect((user + system) / 1000).toBeLessThan(150);
});

/** Milliseconds in which this thread could have run, and others did. */
function waitedForCpu(): number {
  const [, waited = "0"] = readFileSync("/proc/thread-self/schedstat", "utf8").split(" ");
  return Number(waited) / 1e6;
}

test("a reader that stops for 10 s costs lines, not time: timers stay within 20 ms", { timeout: 30_000 }, async () => {
  const child = spawn("sleep", ["12"], { stdio: ["pipe", "ignore", "ignore"] });
  try {
    const one = loop();
    const fd = (child.stdin as unknown as { _handle: { fd: number } })._handle.fd;
    const out = new Output(one, fd, { limit: 256 << 10 });
    const late: number[] = [];
    let last = performance.now();
    let waited = waitedForCpu();
    const timer = one.every(10, () => {
      const now = performance.now();
      const waits = waitedForCpu();
      // What others took of the CPU is not the reader's doing.
      late.push(now - last - 10 - (waits - waited));
      last = now;
      waited = waits;
      for (let i = 0; i < 50; i++) out.write(`${"x".repeat(80)}\n`);
      out.redraw("latest\n");
    });
    await sleep(10_000);
    timer.close();
    expect(out.dropped).toBeGreaterThan(1000);
    expect(out.queued).toBeLessThanOrEqual(256 << 10);
    // A few may be the hypervisor's, who tells nobody.
    expect(late.filter((ms) => ms >= 20).length).toBeLessThan(late.length / 200);
    out.close();
  } finally {
    child.kill();
    await new Promise((resolve) => child.once("close", resolve));
  }
});

test("what a slow reader missed is said when it reads again", async () => {
  const child = spawn("sh", ["-c", "sleep 0.5; cat"], { stdio: ["pipe", "pipe", "ignore"] });
  let seen = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    seen += text;
  });
  const one = loop();
  const fd = (child.stdin as unknown as { _handle: { fd: number } })._handle.fd;
  const out = new Output(one, fd, { limit: 4096 });
  for (let i = 0; i < 4000; i++) out.write(`line ${i} ${"y".repeat(60)}\n`);
  expect(out.dropped).toBeGreaterThan(0);
  await out.drained(5000);
  out.close();
  child.stdin?.end();
  await new Promise((resolve) => child.once("close", resolve));
  expect(seen).toContain(`${out.dropped} lines dropped: the reader was too slow`);
});

test("/dev/null and files take output too", () => {
  const fd = openSync("/dev/null", "w");
  const out = new Output(loop(), fd);
  expect(out.write("gone\n")).toBe(true);
  expect(out.queued).toBe(0);
  out.close();
  closeSync(fd);
});

test("a reader that is gone is noticed once, without a crash", async () => {
  const child = spawn("true", { stdio: ["pipe", "ignore", "ignore"] });
  const fd = (child.stdin as unknown as { _handle: { fd: number } })._handle.fd;
  await new Promise((resolve) => child.once("exit", resolve));
  const out = new Output(loop(), fd);
  let closed = 0;
  out.onClosed = () => closed++;
  out.write("a\n");
  out.write("b\n");
  expect(closed).toBeLessThanOrEqual(1);
  out.close();
});
