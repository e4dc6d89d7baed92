// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { NetemSettings, TbfSettings } from "../netlink/index.js";
import type { ImpairFile } from "./schema.js";
import { shown } from "./shown.js";

/** What is wrong with a link, for what one end of it sends. What is not named is as the kernel has it. */
export interface Impairment {
  /** Bits per second. */
  rate?: number;
  /** Microseconds. */
  delay?: number;
  /** Microseconds by which the delay varies. */
  jitter?: number;
  /** Per cent by which a packet's delay is as that of the packet before. */
  "jitter-correlation"?: number;
  /** Per cent of the packets, as those that come twice, damaged, or before others. */
  loss?: number;
  /** Per cent by which a packet's loss is as that of the packet before. */
  "loss-correlation"?: number;
  duplicate?: number;
  corrupt?: number;
  reorder?: number;
  /** Bytes that may wait for the rate. */
  limit?: number;
  /** Bytes that may leave at once under the rate. */
  burst?: number;
  /** What the kernel lacks is left out, and said so. */
  optional?: boolean;
}

export type ImpairmentKey = Exclude<keyof Impairment, "optional">;
/** Those that netem does. */
const EMULATED = [
  ...(["delay", "jitter", "jitter-correlation", "loss", "loss-correlation"] as const),
  ...(["duplicate", "corrupt", "reorder"] as const),
] as const;
export const IMPAIRMENT_KEYS: readonly ImpairmentKey[] = ["rate", ...EMULATED, "limit", "burst"];

const BITS: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
const MICROSECONDS: Record<string, number> = { us: 1, ms: 1e3, s: 1e6 };
const BYTES: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2 };

interface Shape {
  readonly pattern: RegExp;
  readonly units: Record<string, number>;
  readonly min: number;
  readonly max: number;
  readonly written: string;
}
const TIME = { pattern: /^(\d+(?:\.\d+)?)(us|ms|s)$/, units: MICROSECONDS, min: 0, max: 100e6 } as const;
const SIZE = { pattern: /^(\d+)([km]?)i?b?$/, units: BYTES, min: 1, max: 0x7fffffff } as const;
const percent = (what: string) =>
  ({
    pattern: /^(\d+(?:\.\d+)?)(%?)$/,
    units: { "": 1, "%": 1 },
    min: 0,
    max: 100,
    written: `${what} is written as 1% or 0.5%, up to 100%`,
  }) as const;
const SHAPES: Record<ImpairmentKey, Shape> = {
  rate: {
    pattern: /^(\d+(?:\.\d+)?)([kmgt]?)(?:bit)?(?:\/s)?$/,
    units: BITS,
    min: 8000,
    max: 1e12,
    written: "a rate is written as 10mbit, 500kbit or 1gbit, from 8kbit to 1tbit",
  },
  delay: { ...TIME, written: "a delay is written as 20ms, 500us or 1s, up to 100s" },
  jitter: { ...TIME, written: "a jitter is written as 5ms or 500us, up to 100s" },
  "jitter-correlation": percent("a correlation"),
  loss: percent("a loss"),
  "loss-correlation": percent("a correlation"),
  duplicate: percent("a share"),
  corrupt: percent("a share"),
  reorder: percent("a share"),
  limit: { ...SIZE, written: "a limit is bytes of the queue, written as 65536, 64k or 1M" },
  burst: { ...SIZE, written: "a burst is bytes, written as 3036 or 16k" },
};

/** The value of one setting; undefined for `none`. Throws XDPCTL_E_USAGE. */
export function parseImpairment(key: ImpairmentKey, text: string): number | undefined {
  const word = text.trim().toLowerCase();
  if (word === "none") return undefined;
  const { pattern, units, min, max, written } = SHAPES[key];
  const match = pattern.exec(word);
  const value = match === null ? Number.NaN : Number(match[1]) * (units[match[2] ?? ""] ?? Number.NaN);
  if (!(value >= min && value <= max)) throw new XdpctlError("XDPCTL_E_USAGE", `${shown(text)}: ${written}`);
  return value;
}

/** The settings of a lab file; what is wrong is told with the key that it is about. */
export function readImpairment(
  file: ImpairFile,
  problem: (key: ImpairmentKey | undefined, message: string) => void,
): Impairment {
  const found: Impairment = {};
  for (const key of IMPAIRMENT_KEYS) {
    const text = file[key];
    if (text === undefined) continue;
    try {
      const value = parseImpairment(key, String(text));
      if (value !== undefined) found[key] = value;
    } catch (error) {
      problem(key, XdpctlError.wrap(error).message);
    }
  }
  if (file.optional === true) found.optional = true;
  return found;
}

/** Why settings don't go together: the key and the reason. `mtu` is that of the link, in bytes. */
export function impairmentProblem(one: Impairment, mtu: number): [ImpairmentKey, string] | undefined {
  if ((one.jitter ?? 0) > 0 && (one.delay ?? 0) === 0) return ["jitter", "jitter needs a delay that it varies"];
  if ((one.jitter ?? 0) > (one.delay ?? 0)) return ["jitter", "the jitter is more than the delay that it varies"];
  for (const key of ["jitter", "loss"] as const) {
    const correlation = `${key}-correlation` as const;
    if ((one[correlation] ?? 0) > 0 && (one[key] ?? 0) === 0) {
      return [correlation, `${correlation} belongs to a ${key}, and there is none`];
    }
  }
  if ((one.reorder ?? 0) > 0 && (one.delay ?? 0) === 0) {
    return ["reorder", "reorder needs a delay: what goes before others leaves without it"];
  }
  for (const key of ["limit", "burst"] as const) {
    if (one[key] === undefined) continue;
    if (one.rate === undefined) return [key, `${key} belongs to a rate, and there is none`];
    const frame = frameBytes(mtu);
    if (one[key] < frame) {
      return [key, `a ${key} of ${one[key]} bytes lets no packet of the mtu ${mtu} through: it needs ${frame}`];
    }
  }
  return undefined;
}

export const isImpaired = (one: Impairment): boolean =>
  tbfSettings(one, 0) !== undefined || netemSettings(one) !== undefined;

/** An Ethernet frame with a VLAN tag. */
const frameBytes = (mtu: number): number => mtu + 18;
/** What the timer that refills the bucket needs, and what a sender's queue is: seconds of the rate. */
const BURST_SECONDS = 0.002;
const LIMIT_SECONDS = 0.05;

/** The token bucket of an impairment; a burst of 2 ms and a queue of 50 ms by default, at least two and ten frames. */
export function tbfSettings({ rate, burst, limit }: Impairment, mtu: number): TbfSettings | undefined {
  if (rate === undefined) return undefined;
  const bytes = rate / 8;
  const frame = frameBytes(mtu);
  return {
    rate,
    burst: burst ?? Math.min(Math.max(2 * frame, Math.ceil(bytes * BURST_SECONDS)), SIZE.max),
    limit: limit ?? Math.min(Math.max(10 * frame, Math.ceil(bytes * LIMIT_SECONDS)), SIZE.max),
  };
}

/** Packets that wait out their delay: 1 Gbit/s of full frames over 100 ms, and more of what is slower. */
const NETEM_LIMIT = 10_000;

export function netemSettings(one: Impairment): NetemSettings | undefined {
  const { delay = 0, jitter = 0, loss = 0, duplicate = 0, corrupt = 0, reorder = 0 } = one;
  if (delay + loss + duplicate + corrupt === 0) return undefined;
  const correlations = {
    jitterCorrelation: one["jitter-correlation"] ?? 0,
    lossCorrelation: one["loss-correlation"] ?? 0,
  };
  return { delay, jitter, loss, duplicate, corrupt, reorder, ...correlations, limit: NETEM_LIMIT };
}

/** The same without what netem does. */
export function withoutNetem(one: Impairment): Impairment {
  const rest = { ...one };
  for (const key of EMULATED) delete rest[key];
  return rest;
}

function scaled(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, unit] = units.find(([size]) => value >= size) ?? (units.at(-1) as readonly [number, string]);
  return `${Number((value / size).toFixed(3))}${unit}`;
}

/** A setting as it is written: `10mbit`, `20ms`, `0.5%`, `64k`. */
export function impairmentText(key: ImpairmentKey, value: number): string {
  if (key === "rate")
    return scaled(value, [
      [1e9, "gbit"],
      [1e6, "mbit"],
      [1e3, "kbit"],
      [1, "bit"],
    ]);
  if (key === "limit" || key === "burst") return String(value);
  if (key !== "delay" && key !== "jitter") return `${value}%`;
  return scaled(value, [
    [1e6, "s"],
    [1e3, "ms"],
    [1, "us"],
  ]);
}
