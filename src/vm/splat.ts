// SPDX-License-Identifier: MIT

/** A report of the kernel that something in it went wrong. */
export interface Splat {
  /** Its first telling line, without time stamps: `BUG: KASAN: slab-use-after-free in foo+0x1a/0x40 [bar]`. */
  readonly title: string;
  /** The report as it stands in the log, from its beginning; of a long one the first lines. */
  readonly lines: readonly string[];
}

/** Lines of one report that are kept. */
const MOST_LINES = 80;
/** A report without a mark at its end is over after so many lines. */
const LONGEST = 400;

/** `[   12.345678][  T123] `, and the level (`<4>`) before it that consoles may have. */
const STAMP = /^(?:<\d+>)?(?:\[\s*\d+\.\d+\])?\s*(?:\[\s*[CT]\d+\])?\s?/;

/** What a report begins with. Their order is not their rank: the first in the log gives the title. */
const TITLES: readonly RegExp[] = [
  // BUG: KASAN, BUG: unable to handle page fault, watchdog: BUG: soft lockup, BUG: scheduling while atomic, …
  /\bBUG: \S/,
  /\bkernel BUG at \S/,
  // WARNING: CPU: 1 PID: 7 at net/core/dev.c:1 f+0x1/0x2; since 6.19 WARNING: net/core/dev.c:1 at f+0x1/0x2, CPU#1
  /^WARNING: .*\bat \S+(:\d+|\+0x)/,
  // lockdep and RCU
  /^WARNING: (possible (circular|recursive|irq lock inversion)|inconsistent lock state|suspicious RCU usage)/,
  /^WARNING: (bad unlock balance|held lock freed|lock held when returning|.*lock order|Nested lock was not taken)/i,
  /^\[ (BUG|INFO): .*\]$/,
  /^INFO: (possible (circular|recursive) locking|trying to register non-static key)/,
  /\bpossible (circular|recursive) locking/,
  /\b(self-detected stalls? on CPU|detected (expedited )?stalls on CPUs\/tasks)/,
  /^INFO: task .* blocked for more than \d+ seconds/,
  /^INFO: rcu_\w+ (self-)?detected/,
  /\bWatchdog detected hard LOCKUP/,
  // Not `traps: name[1] general protection fault`: that is a process's own fault.
  /^(?!traps: )(?:.*\b)?general protection fault(?=[,:])/,
  /^(?:Internal error: )?Oops\b/,
  /\bUnable to handle kernel\b/i,
  /^Kernel panic - not syncing/,
  /^UBSAN: /,
  /\bkmemleak: \d+ new suspected memory leaks/,
  /\brefcount_t: \S/,
  /^(Call Trace|Call trace|Backtrace):/,
];

/** What goes on with a report that began, rather than beginning another one. */
const FOLLOWS =
  /^(?:Internal error: )?Oops\b|^Kernel panic|general protection fault|^Call [Tt]race:|^Backtrace:|Unable to handle|refcount_t:/;
const CUT_HERE = /^-+\[ cut here \]-+/;
const END_TRACE = /^-+\[ end (trace|Kernel panic)/;
const RULER = /^={10,}$/;

interface Open {
  title: string | undefined;
  lines: string[];
  count: number;
  traced: boolean;
}

/**
 * Finds the reports of faults in a kernel's log: BUG, KASAN and its kin, Oops, general protection fault, WARNING, lockdep,
 * RCU and workqueue stalls, hung tasks, panics, and call traces without any of these. Lines may have time stamps, as
 * consoles and dmesg print them. What a process caused to itself (a segfault) is none.
 */
export function findSplats(lines: Iterable<string>): Splat[] {
  const found: Splat[] = [];
  let open: Open | undefined;
  const close = (): void => {
    if (open?.title !== undefined) found.push({ title: open.title, lines: open.lines });
    open = undefined;
  };
  const begin = (title: string | undefined): Open => {
    close();
    open = { title, lines: [], count: 0, traced: false };
    return open;
  };
  for (const raw of lines) {
    const line = raw.replace(/[\r\n]+$/, "");
    const text = line.replace(STAMP, "").trimEnd();
    if (CUT_HERE.test(text) || (RULER.test(text) && (open === undefined || open.count > 1))) {
      // A ruler ends what it began; only `cut here` says that more comes.
      const ends = open !== undefined && RULER.test(text) && open.title !== undefined;
      keep(open, line, ends);
      if (ends) close();
      else keep(begin(undefined), line, true);
      continue;
    }
    const isTitle = TITLES.some((title) => title.test(text));
    if (isTitle && (open === undefined || (open.traced && !FOLLOWS.test(text)))) begin(text);
    else if (isTitle && open !== undefined) open.title ??= text;
    if (open === undefined) continue;
    keep(open, line, true);
    open.traced ||= /^(Call [Tt]race|Backtrace):/.test(text);
    const untitled = open.title === undefined && open.count > 8;
    if (END_TRACE.test(text) || untitled || open.count >= LONGEST) close();
  }
  close();
  return found;
}

function keep(open: Open | undefined, line: string, wanted: boolean): void {
  if (open === undefined || !wanted) return;
  open.count++;
  if (open.lines.length < MOST_LINES) open.lines.push(line);
}
