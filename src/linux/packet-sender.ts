// SPDX-License-Identifier: MIT
import { errno, lastErrno } from "./errno.js";
import { lazy, libc } from "./ffi.js";
import { AF_PACKET, MSG_DONTWAIT, SOCK_RAW, Socket } from "./socket.js";

const sendto_ = lazy<
  (fd: number, bytes: Uint8Array, length: number, flags: number, address: Buffer, size: number) => number
>(libc, "long sendto(int, const void *, size_t, int, const void *, uint32_t)");

/** Frames out of any interface of the network namespace in which it is made (packet(7)). It receives none. */
export class PacketSender implements Disposable {
  readonly #socket = new Socket(AF_PACKET, SOCK_RAW, 0);
  /** struct sockaddr_ll */
  readonly #address = Buffer.alloc(20);
  readonly #frame: Uint8Array;

  /** `most`: bytes of the longest frame. */
  constructor(most: number) {
    this.#frame = new Uint8Array(most);
    this.#address.writeUInt16LE(AF_PACKET, 0);
  }

  /**
   * Sends a whole frame, Ethernet header first; never waits. 0, or the negative errno: ENXIO or ENODEV where the interface is
   * gone, ENETDOWN, EMSGSIZE beyond its MTU, ENOBUFS and EAGAIN where its queue is full.
   */
  send(bytes: Uint8Array, start: number, end: number, ifindex: number): number {
    const frame = this.#frame;
    const length = end - start;
    if (length > frame.length) return -errno.EMSGSIZE;
    for (let i = 0; i < length; i++) frame[i] = bytes[start + i] as number;
    // The protocol, for whoever looks at what goes out.
    this.#address[2] = frame[12] as number;
    this.#address[3] = frame[13] as number;
    this.#address.writeInt32LE(ifindex, 4);
    return sendto_(this.#socket.fd, frame, length, MSG_DONTWAIT, this.#address, 20) < 0 ? -lastErrno() : 0;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
