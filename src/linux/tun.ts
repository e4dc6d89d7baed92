// SPDX-License-Identifier: MIT
import { closeSync, constants, openSync } from "node:fs";
import { lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

/** linux/if_tun.h */
const TUNSETIFF = 0x400454can;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_MULTI_QUEUE = 0x0100;
const NAME = 16;
const IFREQ = 40;

const ioctl_ = lazy<(fd: number, request: bigint, request_: Uint8Array) => number>(
  libc,
  "int ioctl(int, unsigned long, void *)",
);

/** A tap device: it is there while one of its descriptors is open. */
export interface Tap {
  /** As the kernel named it. */
  readonly name: string;
  /** One for each queue; packets have a virtio-net header in front. */
  readonly fds: readonly number[];
}

/**
 * Makes a tap device in the calling thread's network namespace. `name` may have a `%d`, for which the kernel puts a
 * number. Errors: XDPCTL_E_PERMISSION, XDPCTL_E_SYSCALL, XDPCTL_E_NO_FILE without /dev/net/tun.
 */
export function openTap(name: string, queues = 1): Tap {
  const fds: number[] = [];
  let given = name;
  try {
    for (let i = 0; i < queues; i++) {
      const fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
      fds.push(fd);
      const request = Buffer.alloc(IFREQ);
      request.write(given, 0, NAME - 1, "latin1");
      request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0), NAME);
      if (ioctl_(fd, TUNSETIFF, request) < 0)
        throw syscallError(`making the tap device ${name}`, lastErrno(), undefined, "CAP_NET_ADMIN");
      given = request.toString("latin1", 0, request.indexOf(0));
    }
    return { name: given, fds };
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}
