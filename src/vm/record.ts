// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { cacheDir, writeWhole } from "./cache.js";

export interface Kernel {
  /** `uname -r`. */
  readonly version: string;
  /** Where it is from: `debian:trixie-backports:cloud`, or the file. */
  readonly source: string;
  /** The file to boot: an uncompressed ELF file where it could be extracted and QEMU can start it, else the boot image. */
  readonly image: string;
  /** The folder …/lib/modules/VERSION, with uncompressed modules and depmod's index. */
  readonly modules: string | undefined;
  /** The file with its configuration. */
  readonly config: string | undefined;
  /** The Debian packages that it was made of, with their versions. */
  readonly packages: Readonly<Record<string, string>>;
}

/** What a folder of the cache says about its kernel; paths in it are relative where the file is in the folder. */
interface KernelRecord {
  readonly version: string;
  readonly source: string;
  readonly image: string;
  readonly modules: string | null;
  readonly config: string | null;
  readonly packages: Record<string, string>;
  /** ISO 8601. */
  readonly made: string;
  /** What a kernel outside of the cache was when this was made of it. */
  readonly identity?: string;
}

const RECORD = "kernel.json";

/** The cached kernels from packages, one folder each, by `uname -r`. */
export const kernelsDir = (): string => join(cacheDir(), "kernels");
/** What was made of kernels that are elsewhere. */
export const localDir = (): string => join(cacheDir(), "local");

export interface Recorded {
  readonly kernel: Kernel;
  readonly folder: string;
  readonly made: string;
  readonly identity: string | undefined;
}

/** The kernel of a folder of the cache; undefined where there is none, or its files are gone. */
export function readRecord(folder: string): Recorded | undefined {
  let record: KernelRecord;
  try {
    record = JSON.parse(readFileSync(join(folder, RECORD), "utf8")) as KernelRecord;
  } catch {
    return undefined;
  }
  const place = (path: string): string => (isAbsolute(path) ? path : join(folder, path));
  const kernel: Kernel = {
    version: record.version,
    source: record.source,
    image: place(record.image),
    modules: record.modules === null ? undefined : place(record.modules),
    config: record.config === null ? undefined : place(record.config),
    packages: record.packages,
  };
  const whole = existsSync(kernel.image) && (kernel.modules === undefined || existsSync(kernel.modules));
  return whole ? { kernel, folder, made: record.made, identity: record.identity } : undefined;
}

/** Writes what a folder of the cache holds. */
export function writeRecord(folder: string, kernel: Kernel, identity?: string): void {
  const record: KernelRecord = {
    ...kernel,
    modules: kernel.modules ?? null,
    config: kernel.config ?? null,
    packages: { ...kernel.packages },
    made: new Date().toISOString(),
    ...(identity === undefined ? {} : { identity }),
  };
  writeWhole(join(folder, RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** The kernels of the cache's folder `dir`, whole ones only. */
export function readRecords(dir: string): Recorded[] {
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => !name.startsWith(".")) : [];
  return names.map((name) => readRecord(join(dir, name))).filter((one) => one !== undefined);
}
