// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { InsidePlan } from "../../lab/index.js";
import type { Context } from "../context.js";

/** What `lab test --kernel` starts in each guest; not for people. Reads a plan, and prints a message a line. */
export function registerTestInside(lab: Command, { signal }: Context): void {
  lab.command("test-inside", { hidden: true }).action(async () => {
    let text = "";
    for await (const part of process.stdin.setEncoding("utf8")) text += part;
    const { testInside } = await import("../../lab/index.js");
    const plan = JSON.parse(text) as InsidePlan;
    await testInside(plan, signal, (message) => process.stdout.write(`${JSON.stringify(message)}\n`));
  });
}
