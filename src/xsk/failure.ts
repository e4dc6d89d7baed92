// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import {
  errno,
  getSocketOption,
  interfaceIndex,
  interfaceName,
  namespaceInode,
  SOL_SOCKET,
  syscallError,
} from "../linux/index.js";

const SO_ERROR = 4;

/** Where a socket is: what its errors name. */
export interface Where {
  readonly interface: string;
  readonly queue: number;
  /** It may have another name by now; its number is that of its namespace. */
  readonly ifindex?: number;
  readonly namespace?: ReturnType<typeof namespaceInode>;
}

/** What the kernel's answer to a wake-up says of the socket. */
export function failureOf(number: number, where: Where): XdpctlError {
  const now = number === errno.ENETDOWN ? nameOf(where) : undefined;
  // One that is being deleted is set down first.
  if (number === errno.ENETDOWN && now === undefined) return failureOf(errno.ENODEV, where);
  const name = now ?? where.interface;
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

/** As it is called now; undefined where it is gone. */
function nameOf({ interface: name, ifindex, namespace }: Where): string | undefined {
  if (ifindex !== undefined && namespace === namespaceInode()) return interfaceName(ifindex);
  return interfaceIndex(name) === undefined ? undefined : name;
}

/** The error that the kernel left on a socket, as errno; it is cleared. An interface that went away leaves one. */
export function pendingError(fd: number): number {
  const value = new Int32Array(1);
  getSocketOption(fd, SOL_SOCKET, SO_ERROR, value);
  // Being deleted is what the kernel says by it: set down alone leaves no error.
  return value[0] === errno.ENETDOWN ? errno.ENODEV : (value[0] ?? 0);
}
