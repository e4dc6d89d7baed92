// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Lab } from "../../src/lab/index.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, median } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

const LAB = "labs/xdp-vm.lab.yml";
const NAME = "bench-forward";

function xdpctl(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, ["bin/xdpctl.cjs", ...args], { encoding: "utf8", input: "" });
  if (status !== 0) throw new Error(`xdpctl ${args.join(" ")}: ${status} ${stderr}`);
}

/** Datagrams a second that are offered: more than an emulated guest forwards. */
const OFFERED = 60_000;
const SERVER = "192.168.6.1";
/** Between the stream and the change of programs, and back; then for so long datagrams are counted: ms. */
const SETTLE = 100;
const SLICE = 500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Frames that came to the server so far. */
function received(pid: number): number {
  const line = /^\s*eth0:\s*\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/net/dev`, "utf8"));
  return Number(line?.[1]);
}

/**
 * The programs take turns of half a second: how fast an emulated guest is changes by a third from minute to minute. The
 * stream stands still while they are changed.
 */
async function forwarding(quick: boolean): Promise<Row> {
  try {
    xdpctl("lab", "deploy", "--name", NAME, LAB);
    const at = Lab.open(NAME);
    xdpctl("lab", "exec", "--lab", NAME, "client", "--", "ping", "-c", "2", "server");
    const { supervisor } = at.state.machines.xdp?.vm ?? {};
    const inside = (node: string, ...argv: string[]): LineProcess =>
      new LineProcess(["nsenter", `--net=${at.namespaces(node).net}`, cProgram("udp"), ...argv]);
    const exec = [process.execPath, "bin/xdpctl.cjs", "lab", "exec", "--lab", NAME, "xdp", "--"] as const;
    const objects = [resolve("build/bpf/pass.bpf.o"), bpfObject("bare")];
    const swap = new LineProcess([...exec, process.execPath, resolve("build/bench/swap.mjs"), "eth1", ...objects]);
    const counter = inside("server", "count", "9000");
    await Promise.all([swap.receive(), counter.receive()]);
    const sender = inside("client", "send", SERVER, "9000", String(OFFERED));
    const slice = (program: number) => async (): Promise<number> => {
      await sender.ask("stop");
      await pause(SETTLE);
      await swap.ask(String(program));
      await sender.ask("go");
      await pause(SETTLE);
      const [before, started] = [received(counter.pid), performance.now()];
      await pause(SLICE);
      return (1000 * (received(counter.pid) - before)) / (performance.now() - started);
    };
    // The kernel's own work for packets is charged to nobody.
    const roots = supervisor === undefined ? [] : [supervisor.pid];
    const figures = await alternate(slice(0), slice(1), { legs: quick ? 4 : 80, tolerated: 0.6, roots });
    await sender.ask("stop");
    await Promise.all([sender.close(), counter.close(), swap.close()]);
    const [ours, theirs] = [median(figures.ours), median(figures.theirs)];
    return {
      what: "forwarding through a guest, small datagrams, `pass` in native mode",
      xdpctl: `${(ours / 1000).toFixed(1)} k/s`,
      beside: `${(theirs / 1000).toFixed(1)} k/s (bare XDP_PASS)`,
      ratio: (ours / theirs).toFixed(2),
      wanted: "≥ 0.95",
      ok: ours >= 0.95 * theirs,
      note: legsNote(figures),
    };
  } finally {
    xdpctl("lab", "destroy", NAME);
  }
}

export const forward: Benchmark = async ({ quick }) => [await forwarding(quick)];
