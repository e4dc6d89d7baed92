// SPDX-License-Identifier: MIT
import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { isatty } from "node:tty";
import type { Command } from "commander";
import type { Halt, Lab } from "../../lab/index.js";
import { leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { pause } from "./pause.js";
import { openRoom } from "./select.js";
import { showReport, stateText } from "./test-report.js";

interface TestFlags {
  kernel?: readonly string[];
  junit?: string;
  pause?: boolean;
  pauseOnFail?: boolean;
  keep?: boolean;
  bundle?: string;
  /** `--no-kernel-log` */
  kernelLog: boolean;
}

/** Nothing could be tested: neither passed nor failed. */
const NOTHING_TESTED = 2;

export function registerTest(parent: Command, context: Context): void {
  leaf(parent, "test <file> [check...]", "bring a lab up, run the checks of its file, take it down", [
    ["xdpctl lab test labs/xdp.lab.yml", "exit status: 0 passed, 1 failed, 2 nothing tested, 3 warnings"],
    ["xdpctl lab test labs/xdp.lab.yml blocked", "one check, and what it comes after"],
    ["xdpctl lab test labs/xdp.lab.yml --kernel 6.1,7.2,host", "in a guest of each kernel, and on this one"],
    ["xdpctl lab test labs/xdp.lab.yml --junit report.xml --bundle failed", "for a CI system"],
    ["xdpctl lab test labs/xdp.lab.yml --pause-on-fail", "look around in the lab where a check failed"],
  ])
    .option("-k, --kernel <list>", "test it in guests of these kernels; `host` is this one", parser(kernelList))
    .option("--junit <file>", "write JUnit XML, too")
    .option("--pause", "halt before each check, and at the end")
    .option("--pause-on-fail", "halt after a check that failed")
    .option("--keep", "leave the lab up")
    .option("--bundle <directory>", "after a failure: links, routes, maps, packets, logs of all machines, in files")
    .option("--no-kernel-log", "do not look for splats in the kernel's log")
    .action(async (file: string, names: string[], flags: TestFlags) => {
      process.exitCode = await test(file, names, flags, context);
    });
}

async function test(file: string, names: string[], flags: TestFlags, context: Context): Promise<number> {
  const { terminal } = context;
  const stop = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let stoppedBy: NodeJS.Signals | undefined;
  let inPause = false;
  const onSignal = (name: NodeJS.Signals): void => {
    // At a pause, Ctrl-C belongs to the command that runs there.
    if (inPause && name === "SIGINT") return;
    stoppedBy ??= name;
    stop.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  try {
    const { readLab } = await openRoom();
    const { junitText, TEST_EXIT, testLab, timeText } = await import("../../lab/index.js");
    const halt = async (where: Halt, lab: Lab): Promise<boolean> => {
      if (!("failed" in where ? flags.pauseOnFail === true : flags.pause === true)) return true;
      if (!isatty(0) || !isatty(1)) {
        terminal.note(`not pausing ${haltText(where)}: standard input or output is no terminal`);
        return true;
      }
      inPause = true;
      try {
        return await pause(haltText(where), lab, stop.signal);
      } finally {
        inPause = false;
      }
    };
    const spec = readLab(file);
    refusePause(file, flags);
    const inGuests = (flags.kernel ?? []).some((kernel) => kernel !== "host");
    const of = (target: string): string => (inGuests ? `${target}: ` : "");
    const report = await testLab(spec, {
      checks: names,
      signal: stop.signal,
      ...(flags.kernel === undefined ? {} : { kernels: flags.kernel }),
      log: (text) => terminal.note(text),
      kernelLog: flags.kernelLog,
      ...(flags.keep === true ? { keep: true } : {}),
      ...(flags.bundle === undefined ? {} : { bundle: flags.bundle }),
      halt,
      onUp: ({ target, kernel, lab, nodes, ms }) => {
        const on = inGuests ? ` on Linux ${kernel}` : "";
        terminal.note(`${of(target)}lab ${lab} is up${on}: ${nodes.join(", ")} (${ms} ms)`);
      },
      onCheck: (result, target) => {
        if (terminal.interactive && !terminal.jsonMode)
          terminal.note(`${of(target)}${result.name}: ${stateText(result)}`);
      },
    });
    showReport(report, context, timeText);
    if (flags.junit !== undefined) writeFileSync(flags.junit, junitText(report));
    if (flags.keep === true) {
      const name = report.runs[0]?.lab ?? "";
      terminal.note(`lab ${name} goes on; \`xdpctl lab destroy ${name}\` takes it down`);
    }
    return TEST_EXIT[report.state];
  } catch (error) {
    if (stoppedBy !== undefined) {
      terminal.note("stopped; the lab is down");
      return 128 + constants.signals[stoppedBy];
    }
    terminal.failure(error);
    return NOTHING_TESTED;
  } finally {
    for (const name of signals) process.off(name, onSignal);
  }
}

function kernelList(text: string): readonly string[] {
  const kernels = text.split(",").map((word) => word.trim());
  if (kernels.includes("")) throw usage("a list of kernels has a name between its commas: 6.1,7.2,host");
  return kernels;
}

/** A pause needs a lab that can be reached from here. */
function refusePause(file: string, { kernel, pause, pauseOnFail }: TestFlags): void {
  const guest = kernel?.find((name) => name !== "host");
  if (guest === undefined || (pause !== true && pauseOnFail !== true)) return;
  const option = pause === true ? "--pause" : "--pause-on-fail";
  throw usage(
    `${option} halts in a lab on the host, and that of ${guest} is in a guest`,
    `\`xdpctl vm run -k ${guest} --overlay / -- xdpctl lab test ${file} ${option}\` halts in the guest`,
  );
}

function haltText(where: Halt): string {
  if ("before" in where) return `before check '${where.before}'`;
  return "failed" in where ? `after check '${where.failed.name}' failed` : "before the lab is taken down";
}
