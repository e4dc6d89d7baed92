// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { Lab } from "../../src/lab/index.js";
import { alternate, type Figures, median } from "../legs.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

const XDPCTL = ["bin/xdpctl.cjs"];
const KERNEL = "7.2";
const LAB = "labs/xdp-vm.lab.yml";
const NAME = "bench-vm";

/** Runs to its end; how long it took, in ms. Throws unless it ends with `status`, where one is expected. */
function timed(command: string, args: readonly string[], status: number | null = 0): number {
  const started = performance.now();
  const result = spawnSync(command, args, { encoding: "utf8", input: "", timeout: 120_000 });
  const elapsed = performance.now() - started;
  if (status !== null && result.status !== status)
    throw new Error(`${command} ${args.join(" ")}: ${result.status} ${result.stderr}`);
  return elapsed;
}

const xdpctl = (...args: string[]): number => timed(process.execPath, [...XDPCTL, ...args]);
const emptyNode = (): number => timed(process.execPath, ["-e", "0"]);

function image(): string {
  const { stdout } = spawnSync(process.execPath, [...XDPCTL, "vm", "kernels", "--json"], { encoding: "utf8" });
  const { cached } = JSON.parse(stdout) as { cached: { version: string; image: string }[] };
  return cached.find(({ version }) => version.startsWith(`${KERNEL}.`))?.image ?? "";
}

async function boot(quick: boolean): Promise<Row> {
  const ours = (): number => xdpctl("vm", "run", "-k", KERNEL, "--", "true");
  ours();
  const legs = quick ? 2 : 7;
  // virtme-ng, where it is installed, on the same kernel with the same QEMU. Version 1.35 loses exit statuses under TCG.
  const there = spawnSync("sh", ["-c", "command -v vng"]).status === 0;
  const vng = ["--disable-kvm", "-r", image(), "--cpus", "2", "--memory", "1G", "--", "true"];
  const figures = await alternate(ours, there ? () => timed("vng", vng, null) : emptyNode, { legs });
  const [wall, theirs] = [median(figures.ours) / 1000, median(figures.theirs) / 1000];
  return {
    what: `\`vm run -k ${KERNEL} -- true\`, warm cache, whole process`,
    xdpctl: `${wall.toFixed(2)} s`,
    beside: there ? `${theirs.toFixed(2)} s (virtme-ng)` : "",
    ratio: there ? (wall / theirs).toFixed(2) : "",
    wanted: there ? "≤ 3.5 s, ≤ 0.5 × virtme-ng" : "≤ 3.5 s",
    ok: wall <= 3.5 && (!there || wall <= theirs / 2),
    note: legsNote(figures),
  };
}

function statuses(quick: boolean, log: (text: string) => void): Row {
  const runs = quick ? 3 : 100;
  let right = 0;
  for (let i = 0; i < runs; i++) {
    const status = (i * 37 + 1) % 120;
    const args = [...XDPCTL, "vm", "run", "-k", KERNEL, "--", "sh", "-c", `exit ${status}`];
    if (spawnSync(process.execPath, args, { input: "" }).status === status) right++;
    if ((i + 1) % 20 === 0) log(`vm: ${right} of ${i + 1} exit statuses are right`);
  }
  return {
    what: "exit statuses of `vm run` that were right",
    xdpctl: `${right} of ${runs}`,
    beside: "",
    ratio: "",
    wanted: "all",
    ok: right === runs,
    note: "",
  };
}

async function lab(quick: boolean): Promise<Row[]> {
  const ups: number[] = [];
  const exec = (...words: string[]): number => xdpctl("lab", "exec", "--lab", NAME, ...words);
  let figures: Figures | undefined;
  for (let i = 0; i < (quick ? 1 : 5); i++) {
    try {
      const started = performance.now();
      xdpctl("lab", "deploy", "--name", NAME, LAB);
      exec("client", "--", "ping", "-c", "1", "-W", "1", "server");
      ups.push(performance.now() - started);
      if (i > 0) continue;
      // The guest is not our child.
      const { supervisor } = Lab.open(NAME).state.machines.xdp?.vm ?? {};
      const roots = supervisor === undefined ? [] : [supervisor.pid];
      figures = await alternate(() => exec("xdp", "--", "true"), emptyNode, { legs: quick ? 3 : 15, roots });
    } finally {
      xdpctl("lab", "destroy", NAME);
    }
  }
  const [whole, empty] = [median(figures?.ours ?? []), median(figures?.theirs ?? [])];
  return [
    {
      what: "lab with a guest as its router: `lab deploy`, first ping through it",
      xdpctl: `${(median(ups) / 1000).toFixed(2)} s`,
      beside: "",
      ratio: "",
      wanted: "≤ 7 s",
      ok: median(ups) <= 7000,
      note: `${ups.length} times`,
    },
    {
      what: "`lab exec GUEST -- true`, whole process",
      xdpctl: `${whole.toFixed(0)} ms`,
      beside: `${empty.toFixed(0)} ms (empty Node)`,
      ratio: `+${(whole - empty).toFixed(0)} ms`,
      wanted: "≤ empty Node + 60 ms",
      ok: whole - empty <= 60,
      note: figures === undefined ? "" : legsNote(figures),
    },
  ];
}

export const vm: Benchmark = async ({ quick, log }) => [await boot(quick), ...(await lab(quick)), statuses(quick, log)];
