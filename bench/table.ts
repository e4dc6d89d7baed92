// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import type { Row } from "./row.js";

export function machineText(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const debian = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  return `${cpus().length} × ${model}, Linux ${release()}, ${debian}, Node ${process.versions.node}`;
}

/** The rows as a table of Markdown, aligned so that a terminal shows it as well. */
export function tableText(rows: readonly Row[]): string {
  const titles = ["What", "xdpctl", "beside it", "ratio", "wanted", "met", "how"];
  const cells = rows.map((row) => [
    ...[row.what, row.xdpctl, row.beside, row.ratio, row.wanted],
    ...[row.ok ? "yes" : "NO", row.note],
  ]);
  const widths = titles.map((title, at) => Math.max(title.length, ...cells.map((line) => (line[at] ?? "").length)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, at) => text.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return [line(titles), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...cells.map(line)].join("\n");
}
