// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Rule } from "../../rpc/index.js";
import { interfaceName, leaf, parser } from "../command.js";
import type { Context } from "../context.js";
import { formatDuration } from "../quantities.js";
import type { Cell } from "../table.js";
import type { Column } from "../terminal.js";

const COLUMNS: readonly Column[] = [
  { title: "ACTION" },
  { title: "ADDRESS" },
  { title: "PORT", align: "right" },
  { title: "PROTO" },
  { title: "RATE" },
  { title: "HITS", align: "right" },
  { title: "EXPIRES" },
  { title: "OWNER" },
  { title: "INTERFACES" },
];

function row(rule: Rule, now: number): Cell[] {
  const rate = rule.rate === null ? null : `${rule.rate}/s${rule.burst === null ? "" : ` burst ${rule.burst}`}`;
  const left = rule.expires === null ? null : Math.max(0, Math.round((Date.parse(rule.expires) - now) / 1000));
  return [
    rule.action,
    rule.address,
    rule.port,
    rule.proto,
    rate,
    rule.hits,
    left === null ? null : left === 0 ? "expired" : `in ${formatDuration(left)}`,
    rule.owner === "" ? null : rule.owner,
    rule.interfaces.join(","),
  ];
}

export function register(program: Command, context: Context): void {
  leaf(program, "rules", "the rules of the guards: allow, deny, limit, and what they hit", [
    ["xdpctl rules", "all of them"],
    ["xdpctl rules --interface eth1", "those of one guard"],
    ["xdpctl deny --delete 198.51.100.0/24", "how one is deleted"],
  ])
    .option("-i, --interface <if>", "only the guard on this interface", parser(interfaceName))
    .action(async (options: { interface?: string }) => {
      const backend = await context.backend();
      const { rules } = await backend.request(
        "rules",
        options.interface === undefined ? {} : { interface: options.interface },
      );
      const now = Date.now();
      context.terminal.table(
        COLUMNS,
        rules.map((rule) => row(rule, now)),
      );
      context.terminal.json({ rules });
    });
}
