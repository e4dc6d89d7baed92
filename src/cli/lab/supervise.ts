// SPDX-License-Identifier: MIT
import type { Command } from "commander";

/** What `lab deploy` starts for each virtual machine, and for a lab in a guest, and `lab events` in a guest; not for people. */
export function registerSupervise(lab: Command): void {
  lab.command("supervise <plan>", { hidden: true }).action(async (plan: string) => {
    const { superviseGuest } = await import("../../lab/index.js");
    await superviseGuest(plan);
  });
  lab.command("watch-links", { hidden: true }).action(async () => {
    const { watchLinks } = await import("../../lab/index.js");
    await watchLinks();
  });
  lab.command("supervise-lab <plan>", { hidden: true }).action(async (plan: string) => {
    const { superviseGuestLab } = await import("../../lab/index.js");
    await superviseGuestLab(plan);
  });
}
