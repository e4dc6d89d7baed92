// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group } from "../command.js";
import type { Context } from "../context.js";

/**
 * The commands `lab …`. What they need to act is imported when they act; and `lab exec`, which stands for other commands and
 * shall take no longer than they do, is not made to wait for the rest.
 */
export async function registerLab(program: Command, context: Context, verb?: string): Promise<void> {
  const lab = group(program, "lab", "labs: machines, bridges and links from one file");
  lab.enablePositionalOptions();
  if (verb === "exec") (await import("./exec.js")).registerExec(lab);
  else (await import("./verbs.js")).registerVerbs(lab, context);
}
