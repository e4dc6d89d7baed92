// SPDX-License-Identifier: MIT
import { koffi, lazy, libc } from "../linux/index.js";
import { libbpf } from "./libbpf.js";

const set_print = lazy<(callback: bigint | null) => bigint | null>(libbpf, "void *libbpf_set_print(void *)");
const vsnprintf = lazy<(into: Uint8Array, size: number, format: bigint, list: bigint) => number>(
  libc,
  "int vsnprintf(void *, size_t, void *, void *)",
);

let silenced = false;

/** libbpf writes warnings to standard error until it is told not to. The setting is the whole process's. */
export function silence(): void {
  if (silenced) return;
  silenced = true;
  set_print(null);
}

/** What libbpf prints while `body` runs, warnings and information, one string a line. */
export function capturePrint<T>(body: () => T): { result: T; lines: string[] } {
  const lines: string[] = [];
  if (process.arch !== "x64") return { result: body(), lines };
  const k = koffi();
  const into = Buffer.alloc(4096);
  const callback = k.register((level: number, format: bigint, list: bigint): number => {
    if (level <= 1) {
      const n = vsnprintf(into, into.length, format, list);
      lines.push(into.toString("utf8", 0, Math.min(n, into.length - 1)).trimEnd());
    }
    return 0;
  }, k.pointer(printType()));
  set_print(callback);
  try {
    return { result: body(), lines };
  } finally {
    set_print(null);
    silenced = true;
    k.unregister(callback);
  }
}

let type_: ReturnType<ReturnType<typeof koffi>["proto"]> | undefined;

function printType(): NonNullable<typeof type_> {
  type_ ??= koffi().proto("int xdpctl_libbpf_print(int level, void *format, void *list)");
  return type_;
}
