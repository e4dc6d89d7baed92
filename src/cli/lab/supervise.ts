// SPDX-License-Identifier: MIT
import type { Command } from "commander";

/** What `lab deploy` starts for each virtual machine; not for people. */
export function registerSupervise(lab: Command): void {
  lab.command("supervise <plan>", { hidden: true }).action(async (plan: string) => {
    const { superviseGuest } = await import("../../lab/index.js");
    await superviseGuest(plan);
  });
}
