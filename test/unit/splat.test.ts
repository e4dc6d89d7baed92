// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { decodeRecord } from "../../src/linux/index.js";
import { findSplats } from "../../src/vm/index.js";

const titles = (text: string): string[] => findSplats(text.trim().split("\n")).map((splat) => splat.title);

const KASAN = `
[   41.120011] ==================================================================
[   41.120840] BUG: KASAN: slab-use-after-free in echo_doit+0x1b3/0x200 [genl_echo]
[   41.121511] Read of size 8 at addr ffff888003a1c408 by task xdpctl/231

[   41.122600] CPU: 0 UID: 0 PID: 231 Comm: xdpctl Tainted: G           OE      6.12.48 #1
[   41.123300] Call Trace:
[   41.123500]  <TASK>
[   41.123700]  dump_stack_lvl+0x5d/0x80
[   41.124100]  </TASK>
[   41.124300] Allocated by task 230:
[   41.124500] ==================================================================
[   41.125000] Disabling lock debugging due to kernel taint
`;
const WARNING = `
<4>[   12.000001] ------------[ cut here ]------------
<4>[   12.000002] refcount_t: underflow; use-after-free.
<4>[   12.000003] WARNING: CPU: 1 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
<4>[   12.000004] Modules linked in: deth(OE)
<4>[   12.000005] Call Trace:
<4>[   12.000006]  <TASK>
<4>[   12.000007] ---[ end trace 0000000000000000 ]---
`;
const OOPS = `
[ 5.1] BUG: kernel NULL pointer dereference, address: 0000000000000010
[ 5.1] #PF: supervisor read access in kernel mode
[ 5.1] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
[ 5.1] RIP: 0010:deth_xmit+0x12/0x40 [deth]
[ 5.1] Call Trace:
[ 5.1]  <IRQ>
[ 5.1] ---[ end trace 0000000000000000 ]---
[ 5.2] Kernel panic - not syncing: Fatal exception in interrupt
`;
const LOCKDEP = `
[   23.4] ======================================================
[   23.4] WARNING: possible circular locking dependency detected
[   23.4] 6.12.48 #1 Not tainted
[   23.4] ------------------------------------------------------
[   23.4] ip/201 is trying to acquire lock:
[   23.4] stack backtrace:
[   23.4] Call Trace:
`;

describe("the kernel's log", () => {
  it.each([
    ["KASAN", KASAN, "BUG: KASAN: slab-use-after-free in echo_doit+0x1b3/0x200 [genl_echo]"],
    ["a WARNING with its cause before it", WARNING, "refcount_t: underflow; use-after-free."],
    [
      "an Oops, whose panic is no second one",
      OOPS.replace(/\[ 5\.1\] ---.*\n/, ""),
      "BUG: kernel NULL pointer dereference, address: 0000000000000010",
    ],
    ["lockdep", LOCKDEP, "WARNING: possible circular locking dependency detected"],
    [
      "recursive locking",
      "WARNING: possible recursive locking detected",
      "WARNING: possible recursive locking detected",
    ],
    [
      "the newer form of WARNING",
      "[T1] WARNING: net/core/dev.c:6543 at f+0x1/0x2, CPU#1: ip/7",
      "WARNING: net/core/dev.c:6543 at f+0x1/0x2, CPU#1: ip/7",
    ],
    [
      "a stall of RCU",
      "[  99.0] rcu: INFO: rcu_preempt self-detected stall on CPU",
      "rcu: INFO: rcu_preempt self-detected stall on CPU",
    ],
    [
      "a stall of other CPUs",
      "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
      "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
    ],
    [
      "a lockup",
      "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]",
      "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]",
    ],
    [
      "a hung task",
      "INFO: task ip:201 blocked for more than 122 seconds.",
      "INFO: task ip:201 blocked for more than 122 seconds.",
    ],
    [
      "a general protection fault",
      "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
      "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
    ],
    [
      "an older general protection fault",
      "general protection fault: 0000 [#1] SMP PTI",
      "general protection fault: 0000 [#1] SMP PTI",
    ],
    [
      "arm64",
      "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
      "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
    ],
    ["UBSAN", "UBSAN: array-index-out-of-bounds in net/a.c:3:4", "UBSAN: array-index-out-of-bounds in net/a.c:3:4"],
    ["a trace alone", "[ 1.0][  T44] Call Trace:\n[ 1.0][  T44]  <TASK>", "Call Trace:"],
    [
      "sleeping where one must not",
      "BUG: sleeping function called from invalid context at mm/slab.h:1",
      "BUG: sleeping function called from invalid context at mm/slab.h:1",
    ],
  ])("has %s as one splat", (_, log, title) => {
    expect(titles(log)).toEqual([title]);
  });

  it("keeps a report whole, and what comes after it out", () => {
    const [splat] = findSplats(KASAN.trim().split("\n"));
    expect(splat?.lines[0]).toMatch(/={10}$/);
    expect(splat?.lines.at(-1)).toMatch(/={10}$/);
    expect(splat?.lines.join("\n")).toContain("Allocated by task 230");
  });

  it("tells several apart", () => {
    expect(titles(`${KASAN}${WARNING}${OOPS}${LOCKDEP}${KASAN}`)).toEqual([
      expect.stringMatching(/^BUG: KASAN/),
      expect.stringMatching(/^refcount_t/),
      expect.stringMatching(/^BUG: kernel NULL/),
      // After the end of the trace a panic is a report of its own.
      expect.stringMatching(/^Kernel panic/),
      expect.stringMatching(/^WARNING: possible circular/),
      expect.stringMatching(/^BUG: KASAN/),
    ]);
  });

  it("bounds a report without an end", () => {
    const [only, ...more] = findSplats(["BUG: something", ...Array.from({ length: 5000 }, (_, i) => `line ${i}`)]);
    expect(more).toEqual([]);
    expect(only?.lines.length).toBeLessThan(200);
  });

  it.each([
    "[23019.497272] p01: left allmulticast mode",
    "traps: a.out[12] general protection fault ip:401136 sp:7ffd3 error:0 in a.out[401000+1000]",
    "a.out[12]: segfault at 0 ip 0000000000401136 sp 00007ffd error 6 in a.out[401000+1000]",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
    "sysrq: Show backtrace of all active CPUs",
    "INFO: lockdep is turned off.",
    "page_pool_release_retry() stalled pool shutdown: id 25389, 2 inflight 60 sec",
    "rcu: Hierarchical RCU implementation.",
    "audit: type=1400 msg=debug bug=none",
    "DEBUG: nothing",
    "[drm] Oopsie daisy",
  ])("has no splat in: %s", (line) => {
    expect(titles(line)).toEqual([]);
  });

  it("passes a banner by", () => {
    expect(titles(`${"=".repeat(40)}\n${"hello\n".repeat(30)}`)).toEqual([]);
  });
});

describe("a record of /dev/kmsg", () => {
  it("is the kernel's or a process's", () => {
    const record = "4,1234,5678901,-;WARNING: \\x09tab at a\\xff\n SUBSYSTEM=net\n DEVICE=n5\n";
    expect(decodeRecord(record)).toEqual({ time: 5678901, fromKernel: true, text: "WARNING: \ttab at a\u00ff" });
    expect(decodeRecord("12,1235,5678902,c,caller=T7;BUG: fake; not\n")).toEqual({
      ...{ time: 5678902, fromKernel: false, text: "BUG: fake; not" },
    });
  });
});
