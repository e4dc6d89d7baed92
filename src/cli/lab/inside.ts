// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { InsidePlan, LabSpec } from "../../lab/index.js";
import type { Context } from "../context.js";

/** What `lab test --kernel` starts in each guest; not for people. Reads a plan, and prints a message a line. */
export function registerTestInside(lab: Command, context: Context): void {
  lab.command("test-inside", { hidden: true }).action(async () => {
    const plan = (await readPlan()) as InsidePlan;
    const { testInside } = await import("../../lab/index.js");
    // Asked for only here: it takes the signals over.
    await testInside(plan, context.signal, tell);
  });
}

/** What `lab deploy --in-vm` starts in the guest; not for people. Reads a lab's spec, and prints a message a line. */
export function registerDeployInside(lab: Command): void {
  lab.command("deploy-inside", { hidden: true }).action(async () => {
    const spec = (await readPlan()) as LabSpec;
    const { deployInside } = await import("../../lab/index.js");
    deployInside(spec, tell);
  });
}

async function readPlan(): Promise<unknown> {
  let text = "";
  for await (const part of process.stdin.setEncoding("utf8")) text += part;
  return JSON.parse(text);
}

const tell = (message: unknown): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
