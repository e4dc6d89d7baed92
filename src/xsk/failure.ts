// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno, getSocketOption, interfaceIndex, SOL_SOCKET, syscallError } from "../linux/index.js";

const SO_ERROR = 4;

/** Where a socket is: what its errors name. */
export interface Where {
  readonly interface: string;
  readonly queue: number;
}

/** What the kernel's answer to a wake-up says of the socket. */
export function failureOf(number: number, where: Where): XdpctlError {
  const name = where.interface;
  // One that is being deleted is set down first.
  if (number === errno.ENETDOWN && interfaceIndex(name) === undefined) return failureOf(errno.ENODEV, where);
  if (number === errno.ENETDOWN)
    return new XdpctlError("XDPCTL_E_INTERFACE_DOWN", `${name} is down`, {
      errno: number,
      remedy: `set it up: ip link set dev ${name} up`,
    });
  if (number === errno.ENXIO || number === errno.ENODEV)
    return new XdpctlError("XDPCTL_E_INTERFACE_GONE", `${name} was deleted`, {
      errno: number,
      remedy: "open a socket on another interface",
    });
  return syscallError(`waking queue ${where.queue} of ${name}`, number, "XDPCTL_E_XSK");
}

/** The error that the kernel left on a socket, as errno; it is cleared. An interface that went away leaves one. */
export function pendingError(fd: number): number {
  const value = new Int32Array(1);
  getSocketOption(fd, SOL_SOCKET, SO_ERROR, value);
  // Being deleted is what the kernel says by it: set down alone leaves no error.
  return value[0] === errno.ENETDOWN ? errno.ENODEV : (value[0] ?? 0);
}
