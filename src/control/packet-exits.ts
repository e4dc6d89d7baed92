// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { BpfObject, type BpfProgram, builtinPath, type Injector, readObjectSpec } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { errno, errnoText, interfaceName, PacketSender } from "../linux/index.js";
import { completeChecksum } from "../packet/index.js";

/** Of a slot of a policy's ring. */
const LONGEST = 4096;

/** 16 bytes in front of frames that were passed on, by which a program in generic mode knows them again. */
export function newMark(): Uint8Array {
  const mark = randomBytes(16);
  // The program takes zeros for no mark.
  mark[0] = (mark[0] as number) | 1;
  return mark;
}

/** A program that is on no interface, and the object that holds it. */
class Detached implements Disposable {
  readonly #object: BpfObject;
  readonly program: BpfProgram;

  constructor(name: "pass" | "fib") {
    this.#object = BpfObject.loadSpec(readObjectSpec(builtinPath(name), `${name}.bpf.o`));
    const program = this.#object.programs[name];
    if (program === undefined) throw new XdpctlError("XDPCTL_E_NO_PROGRAM", `${name}.bpf.o has no program ${name}`);
    this.program = program;
  }

  [Symbol.dispose](): void {
    this.#object.close();
  }
}

/** Where the packets of policies go: into the network stack, or out by another interface. */
export class PacketExits implements Disposable {
  #pass: Detached | undefined;
  #fib: Detached | string | undefined;
  #injector: Injector | undefined;
  readonly #marked = new Map<Uint8Array, Injector>();
  #sender: PacketSender | undefined;

  /** The program that asks the routing table, or why there is none. */
  get fib(): number | string {
    if (this.#fib === undefined) {
      try {
        this.#fib = new Detached("fib");
      } catch (error) {
        this.#fib = XdpctlError.wrap(error).message;
      }
    }
    return typeof this.#fib === "string" ? this.#fib : this.#fib.program.fd;
  }

  /** Into the network stack, as if the frame had just come in by the interface; why it did not, else undefined. */
  pass(
    bytes: Uint8Array,
    start: number,
    end: number,
    ifindex: number,
    mark: Uint8Array | undefined,
  ): string | undefined {
    // The stack would take a checksum that is not there for a wrong one.
    completeChecksum(bytes, start, end);
    let injector: Injector;
    try {
      injector = this.#injectorOf(mark);
    } catch (error) {
      return `packets can't be passed on: ${XdpctlError.wrap(error).message}`;
    }
    const result = injector.inject(bytes, start, end, ifindex);
    if (result >= 0) return undefined;
    const why = result === -errno.EINVAL ? " (it takes Linux 5.18, and frames of at most 3,400 bytes)" : "";
    return `packets can't be passed on: ${errnoText(-result)}${why}`;
  }

  #injectorOf(mark: Uint8Array | undefined): Injector {
    this.#pass ??= new Detached("pass");
    if (mark === undefined) {
      this.#injector ??= this.#pass.program.injector();
      return this.#injector;
    }
    const known = this.#marked.get(mark) ?? this.#pass.program.injector(mark);
    this.#marked.set(mark, known);
    return known;
  }

  /** An interface that had this mark is gone. */
  forget(mark: Uint8Array): void {
    this.#marked.delete(mark);
  }

  /** Out of another interface, as it is; why it was not, else undefined. */
  redirect(bytes: Uint8Array, start: number, end: number, ifindex: number): string | undefined {
    const where = (): string => interfaceName(ifindex) ?? `interface ${ifindex}`;
    try {
      this.#sender ??= new PacketSender(LONGEST);
    } catch (error) {
      return `packets can't be redirected: ${XdpctlError.wrap(error).message}`;
    }
    const result = this.#sender.send(bytes, start, end, ifindex);
    switch (-result) {
      case 0:
        return undefined;
      case errno.ENODEV:
      case errno.ENXIO:
        return `packets can't be redirected to interface ${ifindex}: it is gone`;
      case errno.ENETDOWN:
        return `packets can't be redirected to ${where()}: it is down`;
      case errno.EMSGSIZE:
        return `packets can't be redirected to ${where()}: they are longer than its MTU allows`;
      case errno.ENOBUFS:
      case errno.EAGAIN:
        return `packets redirected to ${where()} were lost: its queue is full`;
      default:
        return `packets can't be redirected to ${where()}: ${errnoText(-result)}`;
    }
  }

  [Symbol.dispose](): void {
    this.#pass?.[Symbol.dispose]();
    if (typeof this.#fib !== "string") this.#fib?.[Symbol.dispose]();
    this.#sender?.close();
    this.#pass = undefined;
    this.#fib = undefined;
    this.#injector = undefined;
    this.#sender = undefined;
    this.#marked.clear();
  }
}
