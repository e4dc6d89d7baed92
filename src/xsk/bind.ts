// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import {
  AF_XDP,
  errno,
  getSocketOption,
  needCapabilities,
  receiveQueues,
  SO_BUSY_POLL,
  SO_BUSY_POLL_BUDGET,
  SO_PREFER_BUSY_POLL,
  SOCK_RAW,
  SOL_SOCKET,
  SOL_XDP,
  Socket,
  syscallError,
} from "../linux/index.js";
import {
  XDP_COPY,
  XDP_OPTIONS,
  XDP_OPTIONS_ZEROCOPY,
  XDP_SHARED_UMEM,
  XDP_USE_NEED_WAKEUP,
  XDP_USE_SG,
  XDP_ZEROCOPY,
} from "./abi.js";
import { failureOf } from "./failure.js";
import { makeRings, type RingSizes } from "./ring.js";
import type { Umem } from "./umem.js";

export type CopyMode = "copy" | "zerocopy";
export type CopyRequest = CopyMode | "auto";

export interface BusyPoll {
  /** Microseconds that a wait goes on polling the driver; 20 by default. */
  microseconds?: number;
  /** Packets that one poll of the driver may handle; 64 by default. */
  budget?: number;
}

/** Where a socket is to be, and how. */
export interface Place {
  readonly umem: Umem;
  readonly interface: string;
  readonly ifindex: number;
  readonly queue: number;
  readonly rings: RingSizes;
  readonly copy: CopyRequest;
  readonly needWakeup: boolean;
  readonly multiBuffer: boolean;
  readonly busyPoll: BusyPoll | undefined;
}

/** After a close the kernel lets the queue go in a worker of its own: 32 ms on a quiet machine. */
const PATIENCE_MS = 1000;
const RETRY_MS = 2;

/** A socket with its memory and rings, not bound yet. */
export function makeSocket(place: Place): Socket {
  needCapabilities("opening an AF_XDP socket", "CAP_NET_RAW");
  const { umem } = place;
  checkShared(place);
  const socket = new Socket(AF_XDP, SOCK_RAW, 0);
  try {
    // The kernel takes the memory once: the sockets after it share it by the first.
    if (umem.user === undefined) umem.register(socket);
    makeRings(socket, place.rings);
    if (place.busyPoll !== undefined) preferBusyPoll(socket, place.busyPoll);
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

function preferBusyPoll(socket: Socket, { microseconds = 20, budget = 64 }: BusyPoll): void {
  const set = (option: number, value: number, what: string): void => {
    const number = -socket.trySetOption(SOL_SOCKET, option, value);
    if (number === errno.EPERM)
      throw new XdpctlError("XDPCTL_E_PERMISSION", `${what} needs CAP_NET_ADMIN`, { errno: number });
    if (number === errno.ENOPROTOOPT)
      throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `this kernel has no ${what}`, {
        errno: number,
        remedy: "it takes Linux 5.11: leave busyPoll out",
      });
    if (number !== 0) throw syscallError(`setting ${what} to ${value}`, number, "XDPCTL_E_XSK");
  };
  set(SO_PREFER_BUSY_POLL, 1, "preferred busy polling");
  set(SO_BUSY_POLL, microseconds, "the time of busy polling");
  set(SO_BUSY_POLL_BUDGET, budget, "the budget of busy polling");
}

/** What the kernel takes over from the first socket of the UMEM, whatever is asked for. Throws XDPCTL_E_USAGE. */
function checkShared({ umem, copy, needWakeup, multiBuffer }: Place): void {
  const first = umem.user?.engine;
  if (first === undefined) return;
  const mode = first.zeroCopy ? "zerocopy" : "copy";
  const differs =
    copy !== "auto" && copy !== mode
      ? `copy: "${copy}", and they have "${mode}"`
      : needWakeup !== first.needWakeup
        ? `needWakeup: ${needWakeup}`
        : multiBuffer !== first.multiBuffer
          ? `multiBuffer: ${multiBuffer}`
          : undefined;
  if (differs === undefined) return;
  throw new XdpctlError("XDPCTL_E_USAGE", `the other sockets of the UMEM differ: this one has ${differs}`, {
    remedy: "sockets that share a UMEM share copy, needWakeup and multiBuffer: leave them out, or make another UMEM",
  });
}

function bindFlags(place: Place): number {
  // Sockets that share a UMEM share its mode.
  if (place.umem.user !== undefined) return XDP_SHARED_UMEM;
  const copy = place.copy === "auto" ? 0 : place.copy === "copy" ? XDP_COPY : XDP_ZEROCOPY;
  return copy | (place.needWakeup ? XDP_USE_NEED_WAKEUP : 0) | (place.multiBuffer ? XDP_USE_SG : 0);
}

/** bind(2) to the queue; says whether the kernel copies. */
export function bindSocket(socket: Socket, place: Place): CopyMode {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_XDP, 0);
  address.writeUInt16LE(bindFlags(place), 2);
  address.writeUInt32LE(place.ifindex, 4);
  address.writeUInt32LE(place.queue, 8);
  address.writeUInt32LE(place.umem.user?.fd ?? 0, 12);
  const result = untilFree(() => socket.bind(address));
  if (result < 0) throw refused(-result, place);
  const options = new Uint32Array(1);
  getSocketOption(socket.fd, SOL_XDP, XDP_OPTIONS, options);
  return ((options[0] ?? 0) & XDP_OPTIONS_ZEROCOPY) !== 0 ? "zerocopy" : "copy";
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Tries until the queue is free, or for too long to hope so. */
function untilFree(bind: () => number): number {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const result = bind();
    if (-result !== errno.EBUSY || performance.now() > deadline) return result;
    // The kernel tells nobody when it has let go.
    Atomics.wait(never, 0, 0, RETRY_MS);
  }
}

function refused(number: number, place: Place): XdpctlError {
  const { interface: name, queue, copy } = place;
  const details = { errno: number };
  switch (number) {
    case errno.EBUSY:
      return new XdpctlError("XDPCTL_E_QUEUE_BUSY", `queue ${queue} of ${name} has an AF_XDP socket already`, details);
    case errno.ENETDOWN:
      return failureOf(number, place);
    case errno.ENODEV:
      return new XdpctlError("XDPCTL_E_NO_INTERFACE", `${name} is gone`, details);
    case errno.EOPNOTSUPP:
      if (copy === "zerocopy")
        return new XdpctlError("XDPCTL_E_ZERO_COPY", `the driver of ${name} has no zero copy`, details);
      break;
    case errno.EINVAL:
      // virtio-net answers so where its device does not take the addresses of the DMA API.
      if (copy === "zerocopy" && queue < receiveQueues(name))
        return new XdpctlError("XDPCTL_E_ZERO_COPY", `the driver of ${name} refuses zero copy on queue ${queue}`, {
          ...details,
          remedy:
            "use copy mode; virtio-net (Linux 6.11) needs a device with VIRTIO_F_ACCESS_PLATFORM: `vm run --net user,zerocopy`, QEMU's iommu_platform=on",
        });
      return new XdpctlError("XDPCTL_E_NO_QUEUE", `${name} has no queue ${queue}, or not this way`, {
        ...details,
        remedy: `\`ethtool -l ${name}\` shows its queues${place.multiBuffer ? "; multiBuffer needs Linux 6.6" : ""}`,
      });
  }
  return syscallError(`opening a socket on queue ${queue} of ${name}`, number, "XDPCTL_E_XSK");
}
