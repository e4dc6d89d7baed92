// SPDX-License-Identifier: MIT
import { usage } from "./command.js";
import { aborted, type Context, ENOUGH, type Live, settle } from "./context.js";

const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CLEAR_SCREEN = "\u001b[2J";

/** One frame over the last: from the top, each line to its end, no more lines than the screen has. */
function frameText(lines: readonly string[], live: Live, first: boolean): string {
  const rows = Math.max(2, live.rows || 24) - 1;
  const columns = Math.max(20, live.columns || 80);
  const shown = lines.length > rows ? [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`] : lines;
  const cut = shown.map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
  return `${first ? CLEAR_SCREEN : ""}${HOME}${cut.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`;
}

/**
 * Asks `sample` every `seconds` and shows what it returns, until the command is to end: frames over each other on a
 * screen, one after the other in a pipe, one JSON object a line with `--json`. A sample that takes longer than the
 * interval is not asked for twice.
 */
export async function watch<T>(
  context: Context,
  seconds: number,
  sample: () => Promise<T>,
  show: (value: T) => string[],
  json: (value: T) => unknown = (value) => value,
  /** Seconds after which it ends. */
  until?: number,
): Promise<void> {
  if (context.kind === "script" && until === undefined)
    throw usage("in a script, watching has no end", "use it in a shell, or ask once");
  const { signal } = context;
  const loop = await context.loop();
  const live = await context.live();
  let first = true;
  let busy = false;
  let failed: { error: unknown } | undefined;
  let fail: () => void = () => {};
  const failure = new Promise<void>((resolve) => {
    fail = resolve;
  });
  const turn = async (): Promise<void> => {
    // A reader that stops misses samples; it never gets a pile of old ones.
    if (busy || signal.aborted || live.queued > ENOUGH) return;
    busy = true;
    try {
      const value = await sample();
      if (signal.aborted) return;
      if (context.terminal.jsonMode) live.write(`${JSON.stringify(json(value))}\n`);
      else if (live.screen) live.frame(frameText(show(value), live, first));
      else live.write(`${first ? "" : "\n"}${show(value).join("\n")}\n`);
      first = false;
    } catch (error) {
      failed = { error };
      fail();
    } finally {
      busy = false;
    }
  };
  const timer = loop.every(seconds * 1000, () => void turn());
  let over: Disposable | undefined;
  const end = new Promise<void>((resolve) => {
    if (until !== undefined) over = loop.after(until * 1000, resolve);
  });
  try {
    await turn();
    await Promise.race([aborted(signal), failure, end]);
    await settle(live.drained(), signal);
  } finally {
    timer.close();
    over?.[Symbol.dispose]();
    live.close();
  }
  if (failed !== undefined) throw failed.error;
}
