// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { TestPair } from "../../test/fixtures/netns.js";
import { alternate, median } from "../legs.js";
import { type Benchmark, legsNote } from "../row.js";

/** `xdpctl status` with a program attached, whole process, beside a Node process that does nothing. */
export const status: Benchmark = async ({ quick }) => {
  const pair = new TestPair();
  const xdpctl = ["bin/xdpctl.cjs", "status"];
  const run = (args: string[]): number => {
    const [command, ...rest] = pair.right.argv(process.execPath, ...args);
    const started = performance.now();
    const result = spawnSync(command, rest, { encoding: "utf8" });
    const elapsed = performance.now() - started;
    if (result.status !== 0) throw new Error(`${args.join(" ")}: ${result.stderr}`);
    return elapsed;
  };
  try {
    pair.right.must(process.execPath, "bin/xdpctl.cjs", "load", "guard", "eth0");
    run(xdpctl);
    const legs = quick ? 3 : 15;
    const figures = await alternate(
      () => median(Array.from({ length: 3 }, () => run(xdpctl))),
      () => median(Array.from({ length: 3 }, () => run(["-e", "0"]))),
      { legs },
    );
    const [ours, empty] = [median(figures.ours), median(figures.theirs)];
    return [
      {
        what: "`xdpctl status`, whole process",
        xdpctl: `${ours.toFixed(0)} ms`,
        beside: `${empty.toFixed(0)} ms (empty Node)`,
        ratio: `+${(ours - empty).toFixed(0)} ms`,
        wanted: "≤ empty Node + 30 ms",
        ok: ours - empty <= 30,
        note: legsNote(figures),
      },
    ];
  } finally {
    pair.right.exec([process.execPath, "bin/xdpctl.cjs", "unload", "--all"]);
    pair.close();
  }
};
