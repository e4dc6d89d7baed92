// SPDX-License-Identifier: MIT
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { XdpctlError } from "../errors/index.js";
import type { Work } from "./cache.js";
import { runTool } from "./tool.js";

/** Bytes: a kernel with all of its debug information has half of it. */
export const LARGEST = 2 ** 31 - 2;

type Format = "zstd" | "lz4" | "xz" | "gzip";

const MAGIC: Readonly<Record<Format, Buffer>> = {
  zstd: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
  lz4: Buffer.from([0x02, 0x21, 0x4c, 0x18]),
  xz: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
  gzip: Buffer.from([0x1f, 0x8b, 0x08]),
};
const ELF = Buffer.from("\x7fELF", "latin1");
const FORMATS = Object.keys(MAGIC) as Format[];

export interface Payload {
  readonly format: Format;
  readonly bytes: Buffer;
}

const startsWith = (bytes: Buffer, magic: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic);

export const isElf = (bytes: Buffer): boolean => startsWith(bytes, ELF);

/** True for x86's boot image: `HdrS` at 0x202 (Documentation/arch/x86/boot.rst). */
export const isBzImage = (bytes: Buffer): boolean =>
  bytes.length > 0x260 && bytes.toString("latin1", 0x202, 0x206) === "HdrS";

/** The compressed kernel inside of a boot image, where its header says that it is; undefined when there is none. */
export function payloadOf(image: Buffer): Payload | undefined {
  if (!isBzImage(image) || image.readUInt16LE(0x206) < 0x0208) return undefined;
  const start = ((image[0x1f1] || 4) + 1) * 512 + image.readUInt32LE(0x248);
  const whole = image.subarray(start, start + image.readUInt32LE(0x24c));
  const format = FORMATS.find((one) => startsWith(whole, MAGIC[one]));
  if (format === undefined) return undefined;
  // All but gzip, which has it itself, are followed by the size of what they hold.
  return { format, bytes: format === "gzip" ? whole : whole.subarray(0, -4) };
}

/** `uname -r` of a boot image or an uncompressed kernel; undefined when it doesn't say. */
export function versionOf(image: Buffer): string | undefined {
  if (isBzImage(image)) {
    const at = image.readUInt16LE(0x20e);
    if (at === 0) return undefined;
    return /^[\x21-\x7e]+/.exec(image.toString("latin1", at + 0x200, at + 0x300))?.[0];
  }
  for (let at = image.indexOf("Linux version "); at >= 0; at = image.indexOf("Linux version ", at + 1)) {
    const found = /^Linux version (\d[\x21-\x7e]*) /.exec(image.toString("latin1", at, at + 128));
    if (found !== null) return found[1];
  }
  return undefined;
}

/** True when an ELF kernel has the entry point that QEMU starts it by: the Xen note PHYS32_ENTRY. */
export function hasPvhEntry(image: Buffer): boolean {
  // A little-endian 64-bit ELF file: e_phoff, e_phentsize, e_phnum.
  if (!isElf(image) || image.length < 64 || image[4] !== 2 || image[5] !== 1) return false;
  const table = Number(image.readBigUInt64LE(32));
  const size = image.readUInt16LE(54);
  for (let i = 0; i < image.readUInt16LE(56); i++) {
    const at = table + i * size;
    if (at + 56 > image.length || image.readUInt32LE(at) !== 4) continue;
    const from = Number(image.readBigUInt64LE(at + 8));
    if (notesHavePvh(image.subarray(from, from + Number(image.readBigUInt64LE(at + 32))))) return true;
  }
  return false;
}

function notesHavePvh(notes: Buffer): boolean {
  const pad = (length: number): number => (length + 3) & ~3;
  for (let at = 0; at + 12 <= notes.length; ) {
    const [name, size, type] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4), notes.readUInt32LE(at + 8)];
    if (type === 18 && notes.toString("latin1", at + 12, at + 12 + name) === "Xen\0") return true;
    at += 12 + pad(name) + pad(size);
  }
  return false;
}

const COMMANDS: Readonly<Record<Exclude<Format, "gzip">, readonly string[]>> = {
  zstd: ["zstd", "-dcq"],
  lz4: ["lz4", "-dcq"],
  xz: ["xz", "-dcq"],
};

/**
 * Writes the uncompressed kernel of the boot image `source` to `target`, and says whether it could: not every format
 * can be read, and QEMU starts only kernels with an entry point for it. Throws XDPCTL_E_NO_FILE for a missing tool.
 */
export async function extractVmlinux(source: string, target: string, work: Work): Promise<boolean> {
  const payload = payloadOf(readFileSync(source));
  if (payload === undefined) return false;
  const damaged = (lines: readonly string[]): XdpctlError =>
    new XdpctlError("XDPCTL_E_BAD_KERNEL", `the kernel inside of ${source} is damaged`, { lines });
  if (payload.format === "gzip") {
    let bytes: Buffer;
    try {
      bytes = gunzipSync(payload.bytes, { maxOutputLength: LARGEST });
    } catch (error) {
      throw damaged([(error as Error).message]);
    }
    writeFileSync(target, bytes);
  } else {
    const output = openSync(target, "w");
    try {
      await runTool(COMMANDS[payload.format], { ...work, input: payload.bytes, output });
    } catch (error) {
      if (!XdpctlError.is(error, "XDPCTL_E_TOOL")) throw error;
      throw damaged(error.lines);
    } finally {
      closeSync(output);
    }
  }
  return hasPvhEntry(readFileSync(target));
}
