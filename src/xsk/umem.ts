// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno, Mapping, OwnedFd, type Socket, SOL_XDP, sharedMemory, syscallError } from "../linux/index.js";
import {
  TX_METADATA_BYTES,
  XDP_PACKET_HEADROOM,
  XDP_UMEM_REG,
  XDP_UMEM_TX_METADATA_LEN,
  XDP_UMEM_TX_SW_CSUM,
  XDP_UMEM_UNALIGNED_CHUNK_FLAG,
} from "./abi.js";
import type { Engine } from "./engine.js";
import { Homes } from "./homes.js";
import { TxMetadata } from "./metadata.js";
import { OWNER, Owners } from "./owners.js";
import { checkUmemNames } from "./check.js";
import { checkSizes, complete, LINEAR_BYTES, type UmemOptions } from "./umem-options.js";

/** sizeof(struct xdp_umem_reg), Linux 6.8; older kernels take the front of it. */
const REGISTRATION = 32;

/** A socket. */
interface User {
  readonly fd: number;
  readonly engine: Engine;
  close(): void;
}

/**
 * Memory for packets, shared with the kernel: `frameCount` frames of `frameSize` bytes, one after the other, and the list of
 * those that are free. Sockets on several queues and interfaces may share one; it belongs to one thread.
 *
 * The memory is a memfd, so that it can be given to another process. Close the sockets first; views of `bytes` stay readable
 * after `close`.
 */
export class Umem implements Disposable {
  readonly frameSize: number;
  readonly frameCount: number;
  readonly headroom: number;
  readonly unaligned: boolean;
  /** Bytes of all frames together. */
  readonly length: number;
  /** All frames, and behind them room for one large packet. A frame is the span that its cursor or packet names. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** @internal */
  readonly owners: Owners | undefined;
  /** @internal What packets ask for as they are sent; undefined where they can't. */
  readonly metadata: TxMetadata | undefined;
  /** @internal Bytes at the front of each frame that no packet can have. */
  readonly reserve: number;
  /** @internal Offsets of free frames, as a stack. */
  readonly stack: Int32Array;
  /** @internal */
  freeCount: number;
  /** @internal One byte a frame: 1 while a `Packet` holds it. */
  readonly held: Uint8Array;
  readonly #memory: OwnedFd;
  readonly #mapping: Mapping;
  /** Sockets that use it: the kernel shares a UMEM by any of them. */
  readonly #users = new Set<User>();
  /** @internal Their rings. */
  engines: readonly Engine[] = [];
  /** Those, and of closed sockets whose batch is not over: the kernel may still have frames by them. */
  readonly #engaged = new Set<Engine>();
  /** @internal Who of them has which frame, since there were two. */
  homes: Homes | undefined;
  #closed = false;

  private constructor(options: Required<UmemOptions>, memory: OwnedFd) {
    const { frameSize, frameCount, headroom, unaligned, checked, txMetadata } = options;
    this.frameSize = frameSize;
    this.frameCount = frameCount;
    this.headroom = headroom;
    this.unaligned = unaligned;
    this.#memory = memory;
    this.length = frameSize * frameCount;
    this.#mapping = Mapping.of(memory.fd, this.length + LINEAR_BYTES, { writable: true });
    const buffer = this.#mapping.buffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.owners = checked ? new Owners(frameCount, frameSize) : undefined;
    this.metadata = txMetadata === false ? undefined : new TxMetadata(this, txMetadata === true ? {} : txMetadata);
    this.reserve = this.metadata === undefined ? 0 : TX_METADATA_BYTES;
    this.held = new Uint8Array(frameCount);
    this.stack = new Int32Array(frameCount);
    this.freeCount = 0;
    this.refill();
  }

  /**
   * Allocates the memory. Nothing of it is the kernel's before the first socket opens. Errors: XDPCTL_E_XSK_SIZE for sizes that
   * the kernel refuses.
   */
  static create(options: UmemOptions = {}): Umem {
    checkUmemNames(options);
    const all = complete(options);
    checkSizes(all);
    const memory = sharedMemory("xdpctl-umem", all.frameSize * all.frameCount + LINEAR_BYTES);
    try {
      return new Umem(all, memory);
    } catch (error) {
      memory.close();
      throw error;
    }
  }

  /**
   * The UMEM of another process, by the descriptor of its memory, with the options that it was made with. Exactly one side may
   * use the frames. The descriptor is this object's from now on.
   */
  static adopt(fd: number, options: UmemOptions): Umem {
    const all = complete(options);
    checkSizes(all);
    return new Umem(all, new OwnedFd(fd));
  }

  /** Frames that are free: neither the kernel's nor a packet's. */
  get free(): number {
    return this.freeCount;
  }

  /** The descriptor of the memory, to be given to another process. */
  get fd(): number {
    return this.#memory.fd;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The most bytes that a received packet may have in one frame. */
  get room(): number {
    return this.frameSize - XDP_PACKET_HEADROOM - this.headroom;
  }

  /** @internal Where the frame begins that `address` lies in. */
  frameOf(address: number): number {
    return address - (address % this.frameSize);
  }

  /** @internal Takes a free frame; -1 when there is none. */
  take(owner: OWNER): number {
    if (this.freeCount === 0) return -1;
    const frame = this.stack[--this.freeCount] as number;
    this.owners?.move(frame, OWNER.free, owner);
    return frame;
  }

  /** @internal Gives a frame back. */
  give(frame: number, from: OWNER): void {
    this.owners?.move(frame, from, OWNER.free);
    // More than all can only come of a frame that was given back twice.
    if (this.freeCount < this.frameCount) this.stack[this.freeCount++] = frame;
    this.homes?.freed(this.freeCount - 1);
  }

  /** All frames but those that packets hold are free again: no socket is left. */
  private refill(): void {
    this.freeCount = 0;
    this.homes = undefined;
    this.metadata?.awaited.fill(0);
    // The first frame is on top: few packets touch few pages.
    for (let i = this.frameCount - 1; i >= 0; i--) {
      if (this.held[i] !== 0) continue;
      this.stack[this.freeCount++] = i * this.frameSize;
      this.owners?.reset(i);
    }
  }

  /** @internal Any socket that uses it. */
  get user(): Pick<User, "fd" | "engine"> | undefined {
    for (const user of this.#users) return user;
    return undefined;
  }

  /** @internal */
  attach(user: User): void {
    if (this.#closed) throw new XdpctlError("XDPCTL_E_USAGE", "the UMEM is closed");
    for (const only of this.#engaged) this.homes ??= new Homes(this, only);
    this.homes?.joined(user.engine);
    this.#users.add(user);
    this.engines = [...this.engines, user.engine];
    this.#engaged.add(user.engine);
  }

  /** @internal Of a socket that is closed. */
  detach(user: User): void {
    this.engines = this.engines.filter((engine) => engine !== user.engine);
    // A batch that is under way has its rings mapped, and frames in hand: it says when it is over.
    if (this.#users.delete(user) && !user.engine.busy) this.settle(user.engine);
  }

  /** @internal Its socket is closed and its rings are unmapped: what the kernel had by it is nobody's now. */
  settle(engine: Engine): void {
    if (!this.#engaged.delete(engine)) return;
    if (this.#engaged.size === 0) this.refill();
    else this.homes?.leave(engine);
  }

  /** @internal Takes back what its sockets have sent. */
  reap(): void {
    for (let i = 0; i < this.engines.length; i++) {
      const engine = this.engines[i] as Engine;
      if (engine.sending !== 0) engine.reap();
    }
  }

  /** @internal Tells the times of what its sockets have sent: also of those that nobody serves, and others forward to. */
  tell(): void {
    const { engines } = this;
    for (let i = 0; i < engines.length; i++) {
      const engine = engines[i] as Engine;
      if (engine.timestamps === undefined) continue;
      if (engine.sending !== 0) engine.reap();
      engine.timestamps.deliver();
    }
  }

  /** @internal Asks the kernel again to send what it did not take from its sockets' TX rings. */
  kick(): void {
    for (let i = 0; i < this.engines.length; i++) {
      const engine = this.engines[i] as Engine;
      if (!engine.unsent) continue;
      // The kernel takes nothing while the completion ring is full, and one that only sends has nobody else to empty it.
      engine.reap();
      engine.kick();
    }
  }

  /** @internal Registers the memory with a socket, the first of those that share it. */
  register(socket: Socket): void {
    const registration = Buffer.alloc(REGISTRATION);
    registration.writeBigUInt64LE(this.#mapping.address, 0);
    registration.writeBigUInt64LE(BigInt(this.length), 8);
    registration.writeUInt32LE(this.frameSize, 16);
    registration.writeUInt32LE(this.headroom, 20);
    registration.writeUInt32LE(this.unaligned ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0, 24);
    if (this.metadata !== undefined) {
      const software = this.metadata.softwareChecksum ? XDP_UMEM_TX_SW_CSUM : 0;
      registration.writeUInt32LE(registration.readUInt32LE(24) | software | XDP_UMEM_TX_METADATA_LEN, 24);
      registration.writeUInt32LE(this.reserve, 28);
    }
    const result = socket.setOptionBytes(SOL_XDP, XDP_UMEM_REG, registration);
    if (result < 0) throw this.#refused(-result);
  }

  #refused(number: number): XdpctlError {
    const what = `${this.frameCount} frames of ${this.frameSize} bytes`;
    if (number === errno.ENOBUFS) {
      const mebibytes = Math.ceil(this.length / 2 ** 20);
      return new XdpctlError("XDPCTL_E_MEMLOCK", `${what} (${mebibytes} MiB) are more than this user may lock`, {
        errno: number,
        remedy: `\`ulimit -l\` shows the limit: raise it, or take fewer frames, such as --frames ${this.frameCount >> 1}`,
      });
    }
    // All that it could dislike else was looked at when the UMEM was made.
    if (number === errno.EINVAL && this.metadata !== undefined)
      return new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "this kernel refuses a UMEM with TX metadata", {
        errno: number,
        remedy: "txMetadata needs Linux 6.8, in a stable release that has XDP_UMEM_TX_METADATA_LEN, or 6.11",
      });
    const code = number === errno.EINVAL ? "XDPCTL_E_XSK_SIZE" : "XDPCTL_E_XSK";
    return syscallError(`registering ${what}, headroom ${this.headroom}`, number, code);
  }

  /** Closes the sockets that still use it, and lets the memory go with the last view of it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const user of [...this.#users]) user.close();
    this.#mapping.release();
    this.#memory.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
