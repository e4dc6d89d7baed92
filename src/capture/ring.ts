// SPDX-License-Identifier: MIT
import { Mapping } from "../linux/index.js";

/** include/uapi/linux/if_packet.h */
const TP_STATUS_USER = 1;
const TP_STATUS_KERNEL = 0;
const TP_STATUS_VLAN_VALID = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID = 1 << 6;
const PACKET_OUTGOING = 4;
const ETH_P_8021Q = 0x8100;
/** Offset of struct sockaddr_ll behind struct tpacket3_hdr. */
const ADDRESS = 48;

export interface Frame {
  /** Nanoseconds since 1970, UTC. */
  readonly time: bigint;
  readonly direction: "in" | "out";
  /** Bytes on the wire; more than `data` has when it was cut. */
  readonly length: number;
  /** From the Ethernet header on, VLAN tags included. A copy. */
  readonly data: Uint8Array;
}

/**
 * The blocks of a TPACKET_V3 ring (packet(7), Documentation/networking/packet_mmap.rst). The kernel fills a block, gives
 * it to us by its status, and drops and counts what comes while all blocks are ours.
 */
export class PacketRing {
  readonly #mapping: Mapping;
  readonly #blockSize: number;
  readonly #blocks: number;
  #next = 0;
  #reading = false;
  #closed = false;

  constructor(fd: number, blockSize: number, blocks: number) {
    this.#mapping = Mapping.of(fd, blockSize * blocks, { writable: true });
    this.#blockSize = blockSize;
    this.#blocks = blocks;
  }

  /** Reads blocks while `wants` says so. Returns whether there may be more. */
  read(frame: (frame: Frame) => void, wants: () => boolean): boolean {
    const { buffer } = this.#mapping;
    this.#reading = true;
    try {
      return this.#read(buffer, frame, wants);
    } finally {
      this.#reading = false;
      if (this.#closed) this.#mapping.unmap();
    }
  }

  #read(buffer: ArrayBuffer, frame: (frame: Frame) => void, wants: () => boolean): boolean {
    for (;;) {
      if (!wants()) return true;
      const base = this.#next * this.#blockSize;
      const status = new Uint32Array(buffer, base + 8, 1);
      if ((Atomics.load(status, 0) & TP_STATUS_USER) === 0) return false;
      this.#readBlock(new DataView(buffer, base, this.#blockSize), frame);
      Atomics.store(status, 0, TP_STATUS_KERNEL);
      this.#next = (this.#next + 1) % this.#blocks;
    }
  }

  #readBlock(block: DataView, frame: (frame: Frame) => void): void {
    const count = block.getUint32(12, true);
    let at = block.getUint32(16, true);
    for (let i = 0; i < count; i++) {
      frame(decodeFrame(block, at));
      at += block.getUint32(at, true);
    }
  }

  /** Also from within a handler of `read`: the memory goes when nobody looks at it any more. */
  close(): void {
    this.#closed = true;
    if (!this.#reading) this.#mapping.unmap();
  }
}

/** struct tpacket3_hdr at `at` of a block. */
function decodeFrame(block: DataView, at: number): Frame {
  const u32 = (offset: number): number => block.getUint32(at + offset, true);
  const status = u32(20);
  const captured = u32(12);
  const start = block.byteOffset + at + block.getUint16(at + 24, true);
  const bytes = new Uint8Array(block.buffer, start, captured);
  const tagged = (status & TP_STATUS_VLAN_VALID) !== 0 && captured >= 12;
  const tpid = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? block.getUint16(at + 36, true) : ETH_P_8021Q;
  return {
    time: BigInt(u32(4)) * 1_000_000_000n + BigInt(u32(8)),
    direction: block.getUint8(at + ADDRESS + 10) === PACKET_OUTGOING ? "out" : "in",
    length: u32(16) + (tagged ? 4 : 0),
    data: tagged ? withTag(bytes, tpid, u32(32) & 0xffff) : Uint8Array.from(bytes),
  };
}

/** The kernel keeps the outer VLAN tag beside the packet: here it stands where it was on the wire. */
export function withTag(bytes: Uint8Array, tpid: number, tci: number): Uint8Array {
  const out = new Uint8Array(bytes.length + 4);
  out.set(bytes.subarray(0, 12));
  out.set([tpid >> 8, tpid & 255, tci >> 8, tci & 255], 12);
  out.set(bytes.subarray(12), 16);
  return out;
}
