// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { closeFd, errno, errnoText, lazy } from "../linux/index.js";
import { LINK_TYPE_XDP, type LinkInfo, linkInfo } from "./info.js";
import { fdById, libbpf, openPinned, pinObject } from "./libbpf.js";
import type { BpfProgram } from "./program.js";

const BPF_XDP = 37;
const BPF_F_REPLACE = 4;
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;

const bpf_link_create = lazy<(prog: number, ifindex: number, type: number, opts: Uint8Array) => number>(
  libbpf,
  "int bpf_link_create(int, int, int, const void *)",
);
const bpf_link_update = lazy<(link: number, prog: number, opts: Uint8Array | null) => number>(
  libbpf,
  "int bpf_link_update(int, int, const void *)",
);
const bpf_link_detach = lazy<(link: number) => number>(libbpf, "int bpf_link_detach(int)");

/** A program attached to an interface by a bpf_link (Linux 5.9): it stays until the last descriptor or pin is gone. */
export class XdpLink implements Disposable {
  readonly fd: number;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Attaches in exactly the given mode. Returns the link, or the positive errno: EBUSY (a program is attached without a
   * link), EEXIST (attached in the other mode), EOPNOTSUPP (the driver has no native XDP), ENODEV.
   */
  static create(program: BpfProgram, ifindex: number, mode: "native" | "generic"): XdpLink | number {
    const opts = Buffer.alloc(16);
    opts.writeBigUInt64LE(16n, 0);
    opts.writeUInt32LE(mode === "native" ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, 8);
    const result = bpf_link_create(program.fd, ifindex, BPF_XDP, opts);
    return result < 0 ? -result : new XdpLink(result);
  }

  static fromPin(path: string): XdpLink | undefined {
    const fd = openPinned(path);
    return fd === undefined ? undefined : new XdpLink(fd);
  }

  static fromId(id: number): XdpLink | undefined {
    const fd = fdById("link", id);
    return fd === undefined ? undefined : new XdpLink(fd);
  }

  get info(): LinkInfo {
    return linkInfo(this.fd);
  }

  get isXdp(): boolean {
    return this.info.type === LINK_TYPE_XDP;
  }

  /** Replaces the program; every packet meets the old one or the new one. Throws XDPCTL_E_INTERFACE_GONE. */
  update(program: BpfProgram): void {
    const result = bpf_link_update(this.fd, program.fd, null);
    if (result >= 0) return;
    if (-result === errno.ENOLINK) {
      throw new XdpctlError("XDPCTL_E_INTERFACE_GONE", "the link's interface is gone", { errno: -result });
    }
    throw new XdpctlError("XDPCTL_E_ATTACH", `replacing the program of a link: ${errnoText(-result)}`, {
      errno: -result,
    });
  }

  /** The same, but only when `expected` is still the link's program; false when it is not, or the interface is gone. */
  exchange(expected: BpfProgram, next: BpfProgram): boolean {
    const opts = Buffer.alloc(16);
    opts.writeBigUInt64LE(16n, 0);
    opts.writeUInt32LE(BPF_F_REPLACE, 8);
    opts.writeUInt32LE(expected.fd, 12);
    const result = bpf_link_update(this.fd, next.fd, opts);
    if (result >= 0) return true;
    if (-result === errno.EPERM || -result === errno.ENOLINK) return false;
    throw new XdpctlError("XDPCTL_E_ATTACH", `replacing the program of a link: ${errnoText(-result)}`, {
      errno: -result,
    });
  }

  /** Detaches at once, whoever else holds the link (Linux 5.9). */
  detach(): void {
    const result = bpf_link_detach(this.fd);
    if (result < 0 && -result !== errno.ENOLINK) {
      throw new XdpctlError("XDPCTL_E_ATTACH", `detaching a link: ${errnoText(-result)}`, { errno: -result });
    }
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** Lets go: an unpinned link that nobody else holds is detached by this. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
