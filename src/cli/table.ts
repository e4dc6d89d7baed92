// SPDX-License-Identifier: MIT
import type { Column } from "./terminal.js";

export type Cell = string | number | null;

/** Names, keys and logs may hold anything: what would move the cursor or break the line is shown as an escape. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    const code = c.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Prose, made harmless; its line breaks and tabs stay. */
export function visibleLines(text: string): string {
  return text
    .split(/([\n\t])/)
    .map((part, i) => (i % 2 === 1 ? part : visible(part)))
    .join("");
}

/** Lays rows out in columns, two spaces apart; the header only where there are titles. */
export function layout(columns: readonly Column[], rows: readonly (readonly Cell[])[], header = true): string[] {
  const text = rows.map((row) => row.map((cell) => (cell === null ? "–" : visible(String(cell)))));
  const all = header ? [columns.map((column) => column.title), ...text] : text;
  const width = columns.map((_, i) => Math.max(0, ...all.map((row) => row[i]?.length ?? 0)));
  return all.map((row) =>
    columns
      .map((column, i) => {
        const cell = row[i] ?? "";
        return column.align === "right" ? cell.padStart(width[i] ?? 0) : cell.padEnd(width[i] ?? 0);
      })
      .join("  ")
      .trimEnd(),
  );
}
