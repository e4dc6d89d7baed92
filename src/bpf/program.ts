// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressOf, closeFd, errno, errnoText } from "../linux/index.js";
import { kernelBtf, mainFunction, type ProgramInfo, programInfo } from "./info.js";
import { Injector } from "./inject.js";
import { bpf_prog_test_run_opts, fdById, openPinned, OPTS_SIZE, pinObject } from "./libbpf.js";

/** XDP leaves this much room behind the data for the frame to grow. */
const HEADROOM = 256;

export interface TestRunResult {
  /** What the program returned: for XDP, `enum xdp_action`. */
  retval: number;
  /** The frame as the program left it. */
  data: Uint8Array;
  /** Nanoseconds a run, on the average. */
  duration: number;
}

/** A loaded program. */
export class BpfProgram implements Disposable {
  readonly fd: number;
  /** The function's whole name; the kernel keeps 15 bytes of it. */
  readonly name: string;
  readonly #owned: boolean;
  #info: ProgramInfo | undefined;
  #closed = false;

  private constructor(fd: number, name: string | undefined, owned: boolean) {
    this.fd = fd;
    this.#owned = owned;
    this.name = name ?? this.info.name;
  }

  static fromFd(fd: number, options: { name?: string; owned?: boolean } = {}): BpfProgram {
    return new BpfProgram(fd, options.name, options.owned ?? false);
  }

  /** Opens a program by its kernel id; undefined when it is gone. */
  static fromId(id: number): BpfProgram | undefined {
    const fd = fdById("prog", id);
    return fd === undefined ? undefined : new BpfProgram(fd, undefined, true);
  }

  static fromPin(path: string): BpfProgram | undefined {
    const fd = openPinned(path);
    return fd === undefined ? undefined : new BpfProgram(fd, undefined, true);
  }

  get info(): ProgramInfo {
    this.#info ??= programInfo(this.fd);
    return this.#info;
  }

  get id(): number {
    return this.info.id;
  }

  /** The whole name of the function that it begins with, from its BTF; undefined where it has none. */
  get functionName(): string | undefined {
    const { btfId, type } = mainFunction(this.fd);
    return type === 0 ? undefined : kernelBtf(btfId)?.get(type).name || undefined;
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /**
   * BPF_PROG_TEST_RUN: runs the program `repeat` times on a frame, without an interface. Frames of under 14 bytes are
   * refused by the kernel. Counters, maps and rings see the runs as they would see traffic.
   */
  testRun(data: Uint8Array, options: { repeat?: number } = {}): TestRunResult {
    const runner = this.runner(data.length + HEADROOM);
    const retval = runner.run(data, options.repeat ?? 1);
    return { retval, data: runner.output.slice(0, runner.outputLength), duration: runner.duration };
  }

  /** Test runs with buffers that are used again: for many frames. */
  runner(maxFrame = 65536): TestRunner {
    return new TestRunner(this.fd, maxFrame);
  }

  /** Frames into an interface, as this XDP program lets them: for a program that passes, into the network stack. */
  injector(mark?: Uint8Array): Injector {
    return new Injector(this.fd, mark);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#owned) closeFd(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Runs one program on many frames. */
export class TestRunner {
  readonly output: Uint8Array;
  outputLength = 0;
  /** Nanoseconds a run, on the average of the last call. */
  duration = 0;
  readonly #fd: number;
  readonly #opts = Buffer.alloc(OPTS_SIZE);
  readonly #input: Buffer;

  constructor(fd: number, maxFrame: number) {
    this.#fd = fd;
    this.#input = Buffer.alloc(maxFrame);
    this.output = Buffer.alloc(maxFrame);
    this.#opts.writeBigUInt64LE(BigInt(OPTS_SIZE), 0);
    this.#opts.writeBigUInt64LE(addressOf(this.#input), 8);
    this.#opts.writeBigUInt64LE(addressOf(this.output), 16);
  }

  /** Returns what the program returned. */
  run(frame: Uint8Array, repeat = 1): number {
    if (frame.length > this.#input.length) {
      throw new XdpctlError(
        "XDPCTL_E_USAGE",
        `a frame of ${frame.length} bytes does not fit into ${this.#input.length}`,
      );
    }
    this.#input.set(frame);
    const opts = this.#opts;
    opts.writeUInt32LE(frame.length, 24);
    opts.writeUInt32LE(this.output.length, 28);
    opts.writeInt32LE(repeat, 60);
    let result: number;
    do result = bpf_prog_test_run_opts(this.#fd, opts);
    while (result === -errno.EINTR);
    if (result < 0) throw new XdpctlError("XDPCTL_E_SYSCALL", `test run: ${errnoText(-result)}`, { errno: -result });
    this.outputLength = opts.readUInt32LE(28);
    this.duration = opts.readUInt32LE(64);
    return opts.readUInt32LE(56);
  }
}
