// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { check } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const PR_GET_SECUREBITS = 27;
const PR_SET_SECUREBITS = 28;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2n;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
/** Without it, what root executes gets all that its bounding set allows. */
const SECBIT_NOROOT = 1n;
/** _LINUX_CAPABILITY_VERSION_3: two elements of effective, permitted, inheritable. */
const VERSION = 0x20080522;
const INHERITABLE = [2, 5] as const;
const PERMITTED = [1, 4] as const;

const prctl_ = lazy<(option: number, a: bigint, b: bigint, c: bigint, d: bigint) => number>(
  libc,
  "int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)",
);
const capget_ = lazy<(header: Uint32Array, data: Uint32Array) => number>(libc, "int capget(void *, void *)");
const capset_ = lazy<(header: Uint32Array, data: Uint32Array) => number>(libc, "int capset(void *, const void *)");

/** The capabilities that a process can ever have: CapBnd of proc_pid_status(5), one bit each. */
export function boundingSet(pid: number): bigint {
  const line = /^CapBnd:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return BigInt(`0x${line?.[1] ?? "0"}`);
}

const pair = (data: Uint32Array, [low, high]: readonly [number, number]): bigint =>
  BigInt(data[low] ?? 0) | (BigInt(data[high] ?? 0) << 32n);

/**
 * Runs `body` such that programs that are started there have the capabilities of `mask` and no others, although they run
 * as root: as ambient ones, with root's own privilege switched off. The calling thread itself keeps what it has.
 */
export function withChildCapabilities<T>(mask: bigint, body: () => T): T {
  const header = new Uint32Array([VERSION, 0]);
  const data = new Uint32Array(6);
  check("capget", capget_(header, data));
  const before = data.slice();
  const bits = BigInt(check("prctl(PR_GET_SECUREBITS)", prctl_(PR_GET_SECUREBITS, 0n, 0n, 0n, 0n)));
  // Nobody can pass on what he has not.
  const given = mask & pair(data, PERMITTED);
  data[INHERITABLE[0]] = Number(given & 0xffffffffn);
  data[INHERITABLE[1]] = Number(given >> 32n);
  try {
    check("prctl(PR_SET_SECUREBITS)", prctl_(PR_SET_SECUREBITS, bits | SECBIT_NOROOT, 0n, 0n, 0n));
    check("capset", capset_(header, data));
    for (let bit = 0n; given >> bit !== 0n; bit++) {
      if (((given >> bit) & 1n) === 0n) continue;
      check("prctl(PR_CAP_AMBIENT)", prctl_(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0n, 0n));
    }
    return body();
  } finally {
    prctl_(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n);
    capset_(header, before);
    prctl_(PR_SET_SECUREBITS, bits, 0n, 0n, 0n);
  }
}

/**
 * From now on no program that the calling thread, or a thread that it makes, starts gets any of our capabilities, unless it
 * is root's. What this process may do stays as it is.
 */
export function keepCapabilitiesFromChildren(): void {
  const header = new Uint32Array([VERSION, 0]);
  const data = new Uint32Array(6);
  check("capget", capget_(header, data));
  for (const at of INHERITABLE) data[at] = 0;
  check("capset", capset_(header, data));
  check("prctl(PR_CAP_AMBIENT)", prctl_(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n));
}
