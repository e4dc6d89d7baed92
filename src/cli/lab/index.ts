// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group } from "../command.js";
import type { Terminal } from "../terminal.js";
import { registerDeploy, registerDestroy, registerGc, registerValidate } from "./deploy.js";
import { registerExec, registerShell } from "./exec.js";
import { registerImpair } from "./impair.js";
import { registerInspect, registerList } from "./inspect.js";
import { registerRun } from "./run.js";
import { registerTmux } from "./tmux.js";

/** The commands `lab …`. What they need to act is imported when they act. */
export function registerLab(program: Command, terminal: Terminal): void {
  const lab = group(program, "lab", "labs: machines, bridges and links from one file");
  lab.enablePositionalOptions();
  registerDeploy(lab, terminal);
  registerDestroy(lab, terminal);
  registerInspect(lab, terminal);
  registerList(lab, terminal);
  registerExec(lab);
  registerShell(lab);
  registerRun(lab, terminal);
  registerTmux(lab, terminal);
  registerImpair(lab, terminal);
  registerGc(lab, terminal);
  registerValidate(lab, terminal);
}
