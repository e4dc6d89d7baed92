// SPDX-License-Identifier: MIT

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1000, m: 60_000 };
const BITS: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** Milliseconds of `500ms`, `2s`, `1m`; the schema let nothing else through. */
export function milliseconds(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m)$/.exec(text) ?? [];
  return Number(number) * (MILLISECONDS[unit ?? ""] ?? 1);
}

/** Bits a second of `800kbit`, `100mbit`, `1.5gbit`. */
export function bitsPerSecond(text: string): number {
  const [, number, factor] = /^([\d.]+)([kmg]?)bit$/.exec(text) ?? [];
  return Number(number) * (BITS[factor ?? ""] ?? 1);
}

/** `1.5 Gbit/s`, with three figures. */
export function rateText(bits: number): string {
  for (const [size, unit] of [
    [1e9, "Gbit/s"],
    [1e6, "Mbit/s"],
    [1e3, "kbit/s"],
  ] as const) {
    if (bits >= size) return `${Number((bits / size).toPrecision(3))} ${unit}`;
  }
  return `${Math.round(bits)} bit/s`;
}

/** `340 ms`, `2.5 s`, `1 min 5 s`. */
export function timeText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
