// SPDX-License-Identifier: MIT
import { closeSync, openSync } from "node:fs";
import { lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const ioctl_ = lazy<(fd: number, request: number, argument: Buffer | bigint) => number>(
  libc,
  "int ioctl(int, unsigned long, void *)",
);
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const IFF_TAP = 0x2;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_MULTI_QUEUE = 0x100;
/** struct ifreq: the name, then the flags. */
const IFREQ = 40;
const IFNAMSIZ = 16;

/**
 * Makes a tap in the calling thread's network namespace, with as many queues as will be opened, and with the header that
 * QEMU's NICs have before each frame. It stays until it is deleted, or its namespace ends. Errors: XDPCTL_E_SYSCALL,
 * XDPCTL_E_PERMISSION. Linux 3.8.
 */
export function makeTap(name: string): void {
  const what = `making the tap ${name}`;
  let fd: number;
  try {
    fd = openSync("/dev/net/tun", "r+");
  } catch (error) {
    throw syscallError(`${what}: opening /dev/net/tun`, Math.abs((error as NodeJS.ErrnoException).errno ?? 5));
  }
  try {
    const request = Buffer.alloc(IFREQ);
    request.write(name, 0, IFNAMSIZ - 1, "latin1");
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, IFNAMSIZ);
    if (ioctl_(fd, TUNSETIFF, request) < 0 || ioctl_(fd, TUNSETPERSIST, 1n) < 0) throw syscallError(what, lastErrno());
  } finally {
    closeSync(fd);
  }
}
