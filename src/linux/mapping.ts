// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { lastErrno, syscallError } from "./errno.js";
import { koffi, lazy, libc, type Pointer } from "./ffi.js";

export const PROT_READ = 1;
export const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAX_VIEW = 2 ** 32;

const mmap = lazy<
  (addr: null, length: number, prot: number, flags: number, fd: number, offset: number) => bigint | null
>(libc, "void *mmap(void *, size_t, int, int, int, long)");
const munmap = lazy<(addr: Pointer, length: number) => number>(libc, "int munmap(void *, size_t)");

export const PAGE_SIZE = 4096;

const collected = new FinalizationRegistry<{ address: Pointer; length: number }>(({ address, length }) => {
  munmap(address, length);
});

/**
 * Shared memory of a descriptor, seen as an ArrayBuffer without a copy.
 *
 * A view after munmap is a crash of the process, and JavaScript can't revoke an ArrayBuffer. So `unmap` is offered only
 * to owners that hand out no view: they wrap every access, and check `live` first.
 */
export class Mapping implements Disposable {
  readonly address: Pointer;
  readonly length: number;
  #buffer: ArrayBuffer | undefined;

  private constructor(address: Pointer, length: number) {
    this.address = address;
    this.length = length;
    this.#buffer = koffi().view(address, length);
  }

  /** Maps `length` bytes at `offset` of `fd`, shared. */
  static of(fd: number, length: number, options: { writable?: boolean; offset?: number } = {}): Mapping {
    if (!Number.isSafeInteger(length) || length <= 0 || length > MAX_VIEW) {
      throw new XdpctlError("XDPCTL_E_INTERNAL", `a mapping of ${length} bytes is not possible`);
    }
    const prot = PROT_READ | (options.writable === true ? PROT_WRITE : 0);
    const address = mmap(null, length, prot, MAP_SHARED, fd, options.offset ?? 0);
    if (address === null || address === 0n || address === -1n || address === 0xffff_ffff_ffff_ffffn) {
      throw syscallError(`mmap of ${length} bytes`, lastErrno());
    }
    return new Mapping(address as Pointer, length);
  }

  get live(): boolean {
    return this.#buffer !== undefined;
  }

  /** The bytes. Throws after `unmap`. */
  get buffer(): ArrayBuffer {
    if (this.#buffer === undefined)
      throw new XdpctlError("XDPCTL_E_INTERNAL", "a mapping was used after it was unmapped");
    return this.#buffer;
  }

  /**
   * Gives the memory to the garbage collector: it is unmapped when the buffer and all views of it are gone. For owners that
   * hand out views, which may outlive them.
   */
  release(): ArrayBuffer {
    const { buffer, address, length } = this;
    this.#buffer = undefined;
    collected.register(buffer, { address, length });
    return buffer;
  }

  unmap(): void {
    if (this.#buffer === undefined) return;
    this.#buffer = undefined;
    munmap(this.address, this.length);
  }

  [Symbol.dispose](): void {
    this.unmap();
  }
}
