// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

/** What a user calls a kernel. */
export type KernelSpec =
  | { readonly kind: "host" }
  | { readonly kind: "path"; readonly path: string }
  /** Of one Debian suite, by its meta package. */
  | { readonly kind: "debian"; readonly suite: string; readonly flavour: string }
  /** `6.12`, `6.12.95`, or a whole `uname -r`. */
  | { readonly kind: "version"; readonly version: string };

const SHAPES = "FILE, DIRECTORY, VERSION (6.12), host, or debian:SUITE[:FLAVOUR]";

/** The flavours of Debian's kernels by their short names. */
export function flavourOf(text: string): string {
  const short = text.replace(/-amd64$/, "");
  return short === "amd64" ? short : `${short}-amd64`;
}

/** Reads a kernel's name, without looking whether it exists. Throws XDPCTL_E_USAGE. */
export function parseKernelSpec(text: string): KernelSpec {
  if (text === "host") return { kind: "host" };
  const debian = /^debian:([a-z][a-z0-9-]*)(?::([a-z][a-z0-9-]*))?$/.exec(text);
  if (debian !== null) return { kind: "debian", suite: debian[1] ?? "", flavour: flavourOf(debian[2] ?? "cloud") };
  if (/^\d+\.\d+([.+~-][A-Za-z0-9.+~_-]*)?$/.test(text)) return { kind: "version", version: text };
  if (text.includes("/") && !text.includes("\0") && !text.startsWith("debian:")) return { kind: "path", path: text };
  if (/^(vmlinu[xz]|bzImage)/.test(text) || text === "." || text === "..") return { kind: "path", path: text };
  const looks = text.startsWith("debian:") ? `${JSON.stringify(text)} names no suite of Debian's` : undefined;
  throw new XdpctlError("XDPCTL_E_USAGE", looks ?? `${JSON.stringify(text)} names no kernel`, {
    remedy: `write ${SHAPES}; a file in this folder is ./FILE`,
  });
}

/** True when the kernel `version` (`uname -r`), or its upstream version, is what `wanted` asks for. */
export function matches(wanted: string, version: string, upstream = ""): boolean {
  return [version, upstream].some(
    (have) => have === wanted || (have.startsWith(wanted) && /^[.+~-]/.test(have.slice(wanted.length))),
  );
}

/** Orders versions as Debian does for what occurs in kernels: numbers by value, `~` before everything. */
export function compareVersions(a: string, b: string): number {
  const parts = (text: string): string[] => text.match(/\d+|\D/g) ?? [];
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [x = "", y = ""] = [left[i], right[i]];
    if (x === y) continue;
    if (/^\d/.test(x) && /^\d/.test(y)) return Number(x) - Number(y);
    if (x === "~" || y === "~") return x === "~" ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
