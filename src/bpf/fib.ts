// SPDX-License-Identifier: MIT
import { AF_INET, AF_INET6, errno } from "../linux/index.js";
import { TestRunner } from "./program.js";

/** `sizeof(struct question)` of bpf/fib.bpf.c, and where its fields are. */
const SIZE = 68;
const AT = { family: 0, mtu: 6, ifindex: 8, src: 16, dst: 32, srcMac: 52, dstMac: 58, flags: 64 } as const;
/** BPF_FIB_LOOKUP_SRC: tells the source address, too (Linux 6.7). */
const WITH_SOURCE = 1 << 4;

/** What the kernel answers: BPF_FIB_LKUP_RET_*. */
export const FIB = {
  SUCCESS: 0,
  BLACKHOLE: 1,
  UNREACHABLE: 2,
  PROHIBIT: 3,
  /** It stays on this machine, or there is no route. */
  NOT_FORWARDED: 4,
  /** Forwarding is off on the interface by which it came in. */
  FORWARDING_OFF: 5,
  TUNNEL: 6,
  /** There is a route, but the next hop's hardware address is not known. */
  NO_NEIGHBOUR: 7,
  TOO_LONG: 8,
  NO_SOURCE: 9,
} as const;

/** The kernel's routing table, as XDP programs ask it (bpf_fib_lookup): without a socket, in some microseconds. */
export class FibLookup {
  readonly #runner: TestRunner;
  /** The answer, of which the getters below tell. */
  readonly #view: DataView;
  readonly #question = Buffer.alloc(SIZE);
  #flags = WITH_SOURCE;

  /** `fd`: the program of fib.bpf.o. The network namespace is that of the calling thread. */
  constructor(fd: number) {
    this.#runner = new TestRunner(fd, SIZE);
    const { buffer, byteOffset } = this.#runner.output;
    this.#view = new DataView(buffer, byteOffset, SIZE);
  }

  /** The answer's address family: a next hop of another than was asked for is possible. */
  get family(): 4 | 6 {
    return this.#runner.output[AT.family] === AF_INET ? 4 : 6;
  }

  /** The interface by which it goes out. */
  get ifindex(): number {
    return this.#view.getUint32(AT.ifindex, true);
  }

  get mtu(): number {
    return this.#view.getUint16(AT.mtu, true);
  }

  /** The next hop; the destination itself where it is on the link. */
  get via(): Uint8Array {
    return this.#runner.output.subarray(AT.dst, AT.dst + (this.family === 4 ? 4 : 16));
  }

  /** The address that this machine would send from; undefined where the kernel does not tell (before Linux 6.7). */
  get source(): Uint8Array | undefined {
    if (this.#flags === 0) return undefined;
    return this.#runner.output.subarray(AT.src, AT.src + (this.family === 4 ? 4 : 16));
  }

  /** The interface's hardware address, and the next hop's. */
  get srcMac(): Uint8Array {
    return this.#runner.output.subarray(AT.srcMac, AT.srcMac + 6);
  }

  get dstMac(): Uint8Array {
    return this.#runner.output.subarray(AT.dstMac, AT.dstMac + 6);
  }

  /**
   * Looks up where a packet to `address` (4 or 16 bytes) that came in by interface `ifindex` would go; 1, the loopback, for
   * one of this machine. Returns FIB, or the negative errno: ENODEV where there is no such interface.
   */
  lookup(address: Uint8Array, ifindex: number): number {
    const result = this.#ask(address, ifindex);
    if (result !== -errno.EINVAL || this.#flags === 0) return result;
    this.#flags = 0;
    return this.#ask(address, ifindex);
  }

  #ask(address: Uint8Array, ifindex: number): number {
    const question = this.#question.fill(0);
    question[AT.family] = address.length === 4 ? AF_INET : AF_INET6;
    question.writeUInt32LE(ifindex, AT.ifindex);
    question.set(address, AT.dst);
    question.writeInt32LE(this.#flags, AT.flags);
    this.#runner.run(question);
    return this.#view.getInt32(AT.flags, true);
  }
}
