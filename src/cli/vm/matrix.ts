// SPDX-License-Identifier: MIT
import { layout } from "../table.js";

/** What became of a command on one kernel. */
export interface MatrixRow {
  readonly kernel: string;
  readonly version: string | null;
  readonly status: number;
  readonly seconds: number;
  readonly error: string | null;
}

/** One line a kernel. */
export function table(rows: readonly MatrixRow[]): string[] {
  return layout(
    [
      { title: "KERNEL" },
      { title: "VERSION" },
      { title: "STATUS", align: "right" },
      { title: "TIME", align: "right" },
      { title: "RESULT" },
    ],
    rows.map(({ kernel, version, status, seconds, error }) => [
      kernel,
      version,
      status,
      `${seconds.toFixed(1)} s`,
      error ?? (status === 0 ? "ok" : "failed"),
    ]),
  );
}
