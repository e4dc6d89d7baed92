// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { socketAddress } from "./address.js";
import { lastErrno, syscallError } from "./errno.js";
import { koffi, lazy, libc } from "./ffi.js";
import { AF_INET, AF_INET6, MSG_NOSIGNAL, MSG_TRUNC, Socket, SOCK_DGRAM, SOCK_NONBLOCK } from "./socket.js";

const send_ = lazy<(fd: number, from: number, length: number, flags: number) => number>(
  libc,
  "long send(int, uint64_t, size_t, int)",
);
const recv_ = lazy<(fd: number, into: number, length: number, flags: number) => number>(
  libc,
  "long recv(int, uint64_t, size_t, int)",
);

export interface DatagramEnd {
  readonly address: string;
  readonly port: number;
}

/**
 * A UDP socket between two fixed ends that never waits, and whose datagrams lie in one memory (a UMEM): nothing is
 * allocated, and nothing copied but by the kernel. Datagrams of others than `remote` are not received.
 */
export class DatagramSocket extends Socket {
  readonly #base: number;
  readonly #size: number;

  /** Errors: XDPCTL_E_USAGE for ends of two families; XDPCTL_E_SYSCALL when the kernel refuses an end. */
  constructor(memory: Uint8Array, local: DatagramEnd, remote: DatagramEnd) {
    const here = socketAddress(local.address, local.port);
    const there = socketAddress(remote.address, remote.port);
    if (here.length !== there.length)
      throw new XdpctlError("XDPCTL_E_USAGE", `no datagram goes from ${local.address} to ${remote.address}`);
    super(here.length === 16 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    this.#base = Number(koffi().address(memory));
    this.#size = memory.length;
    const bound = this.bind(here);
    const result = bound < 0 ? bound : this.connect(there);
    if (result === 0) return;
    this.close();
    const [what, end] = bound < 0 ? ["binding to", local] : ["connecting to", remote];
    throw syscallError(`${what} ${end.address} port ${end.port}`, -result);
  }

  /** Sends `[start, end)` of the memory; the byte count or the negative errno. */
  sendFrom(start: number, end: number): number {
    this.#check(start, end);
    const n = Number(send_(this.fd, this.#base + start, end - start, MSG_NOSIGNAL));
    return n < 0 ? -lastErrno() : n;
  }

  /**
   * Receives a datagram into `[start, end)` of the memory; its length, which is more than fits for one that was cut, or
   * the negative errno.
   */
  receiveInto(start: number, end: number): number {
    this.#check(start, end);
    const n = Number(recv_(this.fd, this.#base + start, end - start, MSG_TRUNC));
    return n < 0 ? -lastErrno() : n;
  }

  #check(start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= this.#size))
      throw new XdpctlError("XDPCTL_E_INTERNAL", `${start} to ${end} is not in a memory of ${this.#size} bytes`);
  }
}
