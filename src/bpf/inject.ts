// SPDX-License-Identifier: MIT
import { addressOf } from "../linux/index.js";
import { bpf_prog_test_run_opts, OPTS_SIZE } from "./libbpf.js";

const LIVE_FRAMES = 1 << 1;
/** sizeof(struct xdp_md) */
const CONTEXT = 24;
const MOST = 4096;

/**
 * Lets an XDP program decide on frames that user space brings, one a call, as if they had come in by an interface of the
 * calling thread's network namespace (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18). Those that it passes go into the network
 * stack behind the interface's own program: that sees them no second time, unless it is attached in generic mode. `mark`, up to 32
 * bytes, is put in front of them as metadata, by which such a program can tell.
 *
 * A call takes some 26 µs, most of it for a page pool that the kernel makes and drops each time.
 */
export class Injector {
  readonly #fd: number;
  readonly #opts = Buffer.alloc(OPTS_SIZE);
  readonly #context = new Uint32Array(64);
  readonly #frame = new Uint8Array(MOST);
  readonly #mark: number;

  constructor(fd: number, mark: Uint8Array = new Uint8Array(0)) {
    this.#fd = fd;
    this.#mark = mark.length;
    this.#frame.set(mark);
    const opts = this.#opts;
    opts.writeBigUInt64LE(BigInt(OPTS_SIZE), 0);
    opts.writeBigUInt64LE(addressOf(this.#frame), 8);
    opts.writeBigUInt64LE(addressOf(this.#context), 32);
    opts.writeUInt32LE(CONTEXT, 48);
    // One run: with more, the kernel changes its dispatcher's text, which takes 24 ms.
    opts.writeInt32LE(1, 60);
    opts.writeUInt32LE(LIVE_FRAMES, 68);
    opts.writeUInt32LE(1, 76);
  }

  /**
   * 0, or the negative errno: ENODEV where the interface is gone, EINVAL for frames of over 3,400 bytes (with pages of 4 KiB), and where
   * the kernel is too old.
   */
  inject(bytes: Uint8Array, start: number, end: number, ifindex: number): number {
    const before = this.#mark;
    const length = before + end - start;
    for (let i = before, from = start; i < length; i++, from++) this.#frame[i] = bytes[from] as number;
    this.#context[0] = before;
    this.#context[1] = length;
    this.#context[3] = ifindex;
    const opts = this.#opts;
    opts.writeUInt32LE(length, 24);
    // libbpf has written sizes there, which the next call would take for those of buffers.
    opts.writeUInt32LE(0, 28);
    opts.writeUInt32LE(0, 52);
    return bpf_prog_test_run_opts(this.#fd, opts);
  }
}
