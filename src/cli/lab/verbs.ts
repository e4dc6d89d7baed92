// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Context } from "../context.js";
import { registerCapture } from "./capture.js";
import { registerConsole, registerGdb } from "./console.js";
import { registerDeploy, registerDestroy, registerGc, registerValidate } from "./deploy.js";
import { registerEvents } from "./events.js";
import { registerExec, registerShell } from "./exec.js";
import { registerImpair } from "./impair.js";
import { registerDeployInside, registerTestInside } from "./inside.js";
import { registerInspect, registerList } from "./inspect.js";
import { registerLink } from "./link.js";
import { registerRun } from "./run.js";
import { registerSupervise } from "./supervise.js";
import { registerTest } from "./test.js";
import { registerTmux } from "./tmux.js";

/** All of them, in the order of the help. */
export function registerVerbs(lab: Command, context: Context): void {
  const { terminal } = context;
  registerDeploy(lab, context);
  registerDestroy(lab, terminal);
  registerInspect(lab, terminal);
  registerList(lab, terminal);
  registerExec(lab);
  registerShell(lab);
  registerConsole(lab, terminal);
  registerGdb(lab, terminal);
  registerRun(lab, context);
  registerCapture(lab, context);
  registerEvents(lab, context);
  registerLink(lab, context);
  registerTest(lab, context);
  registerTmux(lab, context);
  registerImpair(lab, terminal);
  registerGc(lab, terminal);
  registerSupervise(lab);
  registerTestInside(lab, context);
  registerDeployInside(lab);
  registerValidate(lab, terminal);
}
