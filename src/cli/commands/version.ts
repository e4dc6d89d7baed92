// SPDX-License-Identifier: MIT
import { release } from "node:os";
import type { Command } from "commander";
import { leaf } from "../command.js";
import type { Context } from "../context.js";
import { VERSION } from "../version.js";

export function register(program: Command, context: Context): void {
  leaf(program, "version", "the version of xdpctl, and of what it runs on", [
    ["xdpctl version", "one line"],
    ["xdpctl version --json", "for a bug report"],
  ]).action(() => {
    const facts = { version: VERSION, node: process.versions.node, kernel: release(), arch: process.arch };
    context.terminal.line(`xdpctl ${facts.version}  (Node ${facts.node}, Linux ${facts.kernel}, ${facts.arch})`);
    context.terminal.json(facts);
  });
}
