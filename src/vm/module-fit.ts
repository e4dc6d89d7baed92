// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { isElf } from "./vmlinux.js";

const RELOCATABLE = 1;

/** The named sections of a 64-bit little-endian relocatable ELF file; undefined where it is none, or is torn. */
function sections(bytes: Buffer): Map<string, Buffer> | undefined {
  try {
    if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1 || bytes.readUInt16LE(16) !== RELOCATABLE) return undefined;
    const table = Number(bytes.readBigUInt64LE(0x28));
    const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => bytes.readUInt16LE(at)) as [number, number, number];
    const data = (i: number): Buffer => {
      const at = table + i * size;
      const start = Number(bytes.readBigUInt64LE(at + 24));
      return bytes.subarray(start, start + Number(bytes.readBigUInt64LE(at + 32)));
    };
    const texts = data(names);
    return new Map(
      Array.from({ length: count }, (_, i) => {
        const name = bytes.readUInt32LE(table + i * size);
        return [texts.toString("latin1", name, texts.indexOf(0, name)), data(i)];
      }),
    );
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The first word of `vermagic`: the `uname -r` of the kernel that a module was built for. */
export function moduleRelease(bytes: Buffer): string | undefined {
  const info = sections(bytes)?.get(".modinfo")?.toString("latin1").split("\0") ?? [];
  const magic = info.find((line) => line.startsWith("vermagic="));
  return magic?.slice("vermagic=".length).split(" ")[0];
}

const series = (release: string): string => /^\d+\.\d+/.exec(release)?.[0] ?? release;

/**
 * Checks that a kernel can take a module's file; `release` is the kernel's `uname -r`. One that was built with versions of
 * symbols (CONFIG_MODVERSIONS) for another release of the same series may fit: that is left to the kernel.
 * Errors: XDPCTL_E_BAD_MODULE.
 */
export function checkModule(file: string, release: string): void {
  const bytes = readFileSync(file);
  const wanted = moduleRelease(bytes);
  if (wanted === undefined) {
    throw new XdpctlError("XDPCTL_E_BAD_MODULE", `${file} is no kernel module`, {
      remedy: "name an uncompressed .ko file for x86-64",
    });
  }
  if (wanted === release) return;
  if (series(wanted) === series(release) && sections(bytes)?.has("__versions") === true) return;
  throw new XdpctlError("XDPCTL_E_BAD_MODULE", `the module ${file} is for ${wanted}, the guest's kernel is ${release}`);
}
