// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno, errnoText, lastErrno, Library, lazy, syscallError } from "../linux/index.js";

/** libbpf, 1.1 (Debian 12) to 1.7. Functions bind at their first use; `has` probes for the newer ones. */
export const libbpf = new Library("libbpf.so.1", "libbpf1");

type Buf = NodeJS.TypedArray | bigint | null;

const bpf_obj_get_info_by_fd = lazy<(fd: number, info: Uint8Array, length: Uint32Array) => number>(
  libbpf,
  "int bpf_obj_get_info_by_fd(int, void *, void *)",
);

/** BPF_OBJ_GET_INFO_BY_FD into `info`; fields that the kernel does not know stay zero. */
export function objectInfo(fd: number, info: Uint8Array, what: string): void {
  const result = bpf_obj_get_info_by_fd(fd, info, new Uint32Array([info.byteLength]));
  if (result < 0) throw syscallError(`reading the info of a ${what}`, -result);
}

export type ObjectKind = "prog" | "map" | "link" | "btf";

const KIND: Record<ObjectKind, string> = { prog: "program", map: "map", link: "link", btf: "BTF" };

/** The descriptor of a kernel object by its id, or undefined where it is gone. The caller closes it. */
export function fdById(kind: ObjectKind, id: number): number | undefined {
  const result = libbpf.func(`int bpf_${kind}_get_fd_by_id(uint32_t)`)(id) as number;
  if (result >= 0) return result;
  if (-result === errno.ENOENT) return undefined;
  throw syscallError(`finding the ${KIND[kind]} with the id ${id}`, -result, undefined, "CAP_SYS_ADMIN");
}

/** All ids of a kind. */
export function* ids(kind: ObjectKind): Generator<number> {
  const next = libbpf.func(`int bpf_${kind}_get_next_id(uint32_t, void *)`);
  const out = new Uint32Array(1);
  for (let id = 0; ; id = out[0] ?? 0) {
    const result = next(id, out) as number;
    if (result < 0) {
      if (-result === errno.ENOENT) return;
      throw syscallError(`listing all ${KIND[kind]}s`, -result, undefined, "CAP_SYS_ADMIN");
    }
    yield out[0] ?? 0;
  }
}

const bpf_obj_pin = lazy<(fd: number, path: string) => number>(libbpf, "int bpf_obj_pin(int, const char *)");
const bpf_obj_get = lazy<(path: string) => number>(libbpf, "int bpf_obj_get(const char *)");

/** The test run: 0 or the negative errno. Its argument is `struct bpf_test_run_opts`. */
export const bpf_prog_test_run_opts = lazy<(fd: number, opts: Uint8Array) => number>(
  libbpf,
  "int bpf_prog_test_run_opts(int, void *)",
);
export const OPTS_SIZE = 80;

/** Pins a program, map or link in a BPF file system. */
export function pinObject(fd: number, path: string): void {
  const result = bpf_obj_pin(fd, path);
  if (result >= 0) return;
  const code = -result === errno.EINVAL ? "XDPCTL_E_BPFFS" : "XDPCTL_E_SYSCALL";
  throw syscallError(`pinning ${path}`, -result, code);
}

/** Opens a pinned object; undefined where nothing is pinned. The caller closes it. */
export function openPinned(path: string): number | undefined {
  const result = bpf_obj_get(path);
  if (result >= 0) return result;
  if (-result === errno.ENOENT || -result === errno.ENOTDIR) return undefined;
  throw syscallError(`opening the pin ${path}`, -result);
}

const update_ = lazy<(fd: number, key: Buf, value: Buf, flags: number) => number>(
  libbpf,
  "int bpf_map_update_elem(int, const void *, const void *, uint64_t)",
);
const lookup_ = lazy<(fd: number, key: Buf, value: Buf) => number>(
  libbpf,
  "int bpf_map_lookup_elem(int, const void *, void *)",
);
const delete_ = lazy<(fd: number, key: Buf) => number>(libbpf, "int bpf_map_delete_elem(int, const void *)");
const next_ = lazy<(fd: number, key: Buf, next: Buf) => number>(
  libbpf,
  "int bpf_map_get_next_key(int, const void *, void *)",
);
const batch_ = lazy<
  (fd: number, inBatch: Buf, outBatch: Buf, keys: Buf, values: Buf, count: Uint32Array, opts: null) => number
>(libbpf, "int bpf_map_lookup_batch(int, void *, void *, void *, void *, void *, const void *)");
const updateBatch_ = lazy<(fd: number, keys: Buf, values: Buf, count: Uint32Array, opts: null) => number>(
  libbpf,
  "int bpf_map_update_batch(int, const void *, const void *, void *, const void *)",
);
const deleteBatch_ = lazy<(fd: number, keys: Buf, count: Uint32Array, opts: null) => number>(
  libbpf,
  "int bpf_map_delete_batch(int, const void *, void *, const void *)",
);

/** The map system calls: 0 or the negative errno, nothing checked. The caller answers for the buffers' sizes. */
export const rawMap = {
  update: update_,
  lookup: lookup_,
  delete: delete_,
  nextKey: next_,
  lookupBatch: batch_,
  updateBatch: updateBatch_,
  deleteBatch: deleteBatch_,
};

let cpus: number | undefined;

/** How many values a per-CPU map holds for each key. */
export function possibleCpus(): number {
  cpus ??= libbpf.func("int libbpf_num_possible_cpus(void)")() as number;
  if (cpus < 1) {
    const why = errnoText(-cpus);
    cpus = undefined;
    throw new XdpctlError("XDPCTL_E_SYSCALL", `reading /sys/devices/system/cpu/possible: ${why}`, {
      remedy: "mount it: mount -t sysfs sysfs /sys",
    });
  }
  return cpus;
}

/** The error behind a NULL that libbpf returned, as a positive errno. */
export function libbpfErrno(): number {
  return Math.abs(lastErrno());
}
