// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const FACTOR: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };
const BINARY: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

function refuse(what: string, text: string, shape: string): never {
  throw new XdpctlError("XDPCTL_E_USAGE", `${JSON.stringify(text)} is no ${what}`, { remedy: `write ${shape}` });
}

/** Seconds of `90`, `90s`, `10m`, `1h30m`, `1.5d`. Throws XDPCTL_E_USAGE. */
export function parseDuration(text: string): number {
  const whole = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(whole) && Number(whole) > 0) return Number(whole);
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(whole)) refuse("duration", text, "90s, 10m, 1h30m or 1d");
  let sum = 0;
  for (const [, number, unit] of whole.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    sum += Number(number) * (SECONDS[unit ?? "s"] ?? 1);
  }
  if (!(sum > 0) || sum > 1e9) refuse("duration", text, "90s, 10m, 1h30m or 1d");
  return sum;
}

/** Packets per second, at least 1, of `1000`, `1000/s`, `10k`, `600/m`. Throws XDPCTL_E_USAGE. */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)(?:\/(s|m|h))?$/.exec(text.trim().toLowerCase());
  const rate =
    match === null ? 0 : (Number(match[1]) * (FACTOR[match[2] ?? ""] ?? 1)) / (SECONDS[match[3] ?? "s"] ?? 1);
  if (!(rate > 0) || rate > 1e12) refuse("rate", text, "1000/s, 10k/s or 600/m");
  if (rate < 1) {
    const least = match?.[3] === undefined ? "1" : `${SECONDS[match[3]]}/${match[3]}`;
    throw new XdpctlError("XDPCTL_E_USAGE", `${text.trim()} is less than one packet a second, which no limit can be`, {
      remedy: `the smallest is ${least}`,
    });
  }
  return rate;
}

/** Bytes of `65536`, `256k`, `4M`, `4MiB`: powers of 1024. Throws XDPCTL_E_USAGE. */
export function parseBytes(text: string): number {
  const match = /^(\d+)([kmg]?)(?:i?b)?$/.exec(text.trim().toLowerCase());
  const bytes = match === null ? 0 : Number(match[1]) * (BINARY[match[2] ?? ""] ?? 1);
  if (!(bytes > 0) || !Number.isSafeInteger(bytes)) refuse("size", text, "65536, 256k or 4M");
  return bytes;
}

/** A whole number of at least `min` and at most `max`. Throws XDPCTL_E_USAGE. */
export function parseCount(what: string, text: string, min = 1, max = Number.MAX_SAFE_INTEGER): number {
  const factored = /^(\d+)([kmg]?)$/.exec(text.trim().toLowerCase());
  const value = factored === null ? Number.NaN : Number(factored[1]) * (FACTOR[factored[2] ?? ""] ?? 1);
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const upTo = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
    refuse(what, text, `a whole number, ${upTo}`);
  }
  return value;
}

/** `2m 3s`, `4h`, `12s`: the two largest units. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return "0s";
  let rest = Math.floor(seconds);
  const parts: string[] = [];
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** How long ago an ISO 8601 time was. */
export function formatSince(iso: string, now: number = Date.now()): string {
  const then = Date.parse(iso);
  return Number.isNaN(then) ? "?" : formatDuration(Math.max(0, now - then) / 1000);
}

/** `118.2k`: at most one decimal. */
export function formatCompact(value: number): string {
  let scaled = value;
  for (const unit of ["", "k", "M", "G"]) {
    if (Math.abs(scaled) < 999.95) return `${unit === "" ? round(scaled, 0) : round(scaled, 1)}${unit}`;
    scaled /= 1000;
  }
  return `${round(scaled, 1)}T`;
}

function round(value: number, digits: number): string {
  if (digits === 0 && value !== 0 && Math.abs(value) < 10 && !Number.isInteger(value)) return value.toFixed(1);
  return value.toFixed(digits);
}
