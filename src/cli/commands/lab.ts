// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Context } from "../context.js";

export async function register(program: Command, context: Context): Promise<void> {
  const { registerLab } = await import("../lab/index.js");
  registerLab(program, context.terminal);
}
