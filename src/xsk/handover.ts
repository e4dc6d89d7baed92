// SPDX-License-Identifier: MIT
import { fstatSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { keepFromChildren, Socket } from "../linux/index.js";
import { makeSocket } from "./bind.js";
import { findInterface } from "./interface.js";
import { Redirect } from "./redirect.js";
import { checkRingSizes, type RingSizes } from "./ring.js";
import { redirection, ringSizes, type XskOptions, XskSocket } from "./socket.js";
import { Umem } from "./umem.js";

/** The variable that tells a program what its descriptors are. */
const VARIABLE = "XDPCTL_XSK";
const VERSION = 1;

/** What the kernel doesn't tell whoever holds a socket. Descriptors are those of the program that is started. */
interface Handover {
  readonly version: typeof VERSION;
  readonly socket: number;
  readonly memory: number;
  /** Keeps the redirect program attached; -1 without one. */
  readonly link: number;
  readonly interface: string;
  readonly ifindex: number;
  readonly queue: number;
  readonly frameSize: number;
  readonly frameCount: number;
  readonly headroom: number;
  readonly unaligned: boolean;
  readonly rings: RingSizes;
  readonly copy: "auto" | "copy" | "zerocopy";
  readonly needWakeup: boolean;
  readonly multiBuffer: boolean;
}

type Descriptors = "socket" | "memory" | "link";

/**
 * A socket that is set up, and left to another program to use: its memory is registered, its rings are made, and the
 * redirect program is attached and knows it; frames go to the network stack until the other program binds it. That takes
 * no privilege.
 *
 * The kernel maps a socket's rings until it is bound, and never after: so it is the other program that binds it. What it is
 * given is therefore any queue of any interface of this network namespace, not this one alone.
 */
export class PreparedSocket implements Disposable {
  readonly #umem: Umem;
  readonly #socket: Socket;
  readonly #redirect: Redirect | undefined;
  readonly #handover: Omit<Handover, Descriptors>;

  private constructor(
    umem: Umem,
    socket: Socket,
    redirect: Redirect | undefined,
    handover: Omit<Handover, Descriptors>,
  ) {
    this.#umem = umem;
    this.#socket = socket;
    this.#redirect = redirect;
    this.#handover = handover;
  }

  /** As `XskSocket.open`, which says what it takes and throws; the UMEM is not to be used here. */
  static open(umem: Umem, name: string, options: XskOptions = {}): PreparedSocket {
    if (umem.metadata !== undefined)
      throw new XdpctlError("XDPCTL_E_USAGE", "a UMEM with TX metadata can't be handed over");
    const link = findInterface(name);
    if (!link.up) throw new XdpctlError("XDPCTL_E_INTERFACE_DOWN", `${link.name} is down`);
    const rings = ringSizes(umem, options.rings ?? {});
    checkRingSizes(rings);
    const shared = {
      interface: link.name,
      ifindex: link.index,
      queue: options.queue ?? 0,
      rings,
      copy: options.copy ?? "auto",
      needWakeup: options.needWakeup ?? true,
      multiBuffer: options.multiBuffer ?? false,
    } as const;
    const place = { ...shared, umem, busyPoll: options.busyPoll };
    const socket = makeSocket(place);
    let redirect: Redirect | undefined;
    try {
      const how = redirection(place, options);
      if (how instanceof Redirect) {
        redirect = how;
        how.direct(shared.queue, socket.fd);
      } else if (how !== undefined) {
        throw new XdpctlError("XDPCTL_E_USAGE", "a socket in a map of your own can't be handed over by xdpctl");
      }
      const { frameSize, frameCount, headroom, unaligned } = umem;
      return new PreparedSocket(umem, socket, redirect, {
        version: VERSION,
        ...shared,
        ...{ frameSize, frameCount, headroom, unaligned },
      });
    } catch (error) {
      redirect?.release();
      socket.close();
      throw error;
    }
  }

  get interface(): string {
    return this.#handover.interface;
  }

  get mode(): string | undefined {
    return this.#redirect?.attachment.mode;
  }

  /** What the other program must have: the socket, its memory, and the link that keeps the redirect program attached. */
  get descriptors(): readonly number[] {
    const link = this.#redirect?.attachment.link.fd;
    return [this.#socket.fd, this.#umem.fd, ...(link === undefined ? [] : [link])];
  }

  /** The variable for the other program's environment, whose descriptors begin at `first`, in the order of `descriptors`. */
  environment(first: number): Record<string, string> {
    const link = this.#redirect === undefined ? -1 : first + 2;
    return { [VARIABLE]: JSON.stringify({ ...this.#handover, socket: first, memory: first + 1, link }) };
  }

  close(): void {
    this.#socket.close();
    this.#redirect?.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * The socket that this process was given by `xdpctl xsk open`, at descriptor `fd`, bound and ready, with its UMEM, which is
 * to be closed after it. It takes no capability.
 *
 * Errors: XDPCTL_E_HANDOVER where the environment has no such socket; those of bind(2) as for `XskSocket.open`.
 */
export function adoptSocket(fd: number, environment: NodeJS.ProcessEnv = process.env): XskSocket {
  const given = read(fd, environment[VARIABLE]);
  const { memory, frameSize, frameCount, headroom, unaligned, rings } = given;
  checkRingSizes(rings);
  // A mapping beyond the end of the memory would crash this process at the first look.
  if (sizeOf(memory) < frameSize * frameCount)
    throw refused(`descriptor ${memory} is no memory of ${frameCount} frames of ${frameSize} bytes`);
  for (const one of [fd, memory, given.link]) if (one >= 0) keepFromChildren(one);
  const umem = Umem.adopt(memory, { frameSize, frameCount, headroom, unaligned, checked: false });
  const socket = Socket.adopt(fd);
  try {
    const { ifindex, queue, copy, needWakeup, multiBuffer } = given;
    const bits = { umem, ifindex, queue, rings, copy, needWakeup, multiBuffer };
    return XskSocket.bound(socket, { ...bits, interface: given.interface, busyPoll: undefined });
  } catch (error) {
    socket.close();
    umem.close();
    throw error;
  }
}

function sizeOf(fd: number): number {
  try {
    return fstatSync(fd).size;
  } catch {
    throw refused(`descriptor ${fd} is not open`);
  }
}

function refused(message: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_HANDOVER", message);
}

function read(fd: number, text: string | undefined): Handover {
  if (text === undefined) throw refused(`descriptor ${fd} was not handed over: ${VARIABLE} is not set`);
  let value: Partial<Handover>;
  try {
    value = JSON.parse(text) as Partial<Handover>;
  } catch {
    throw refused(`${VARIABLE} is no JSON`);
  }
  if (value === null || typeof value !== "object" || value.version !== VERSION)
    throw refused(`${VARIABLE} is not of version ${VERSION}`);
  const numbers = [value.memory, value.ifindex, value.queue, value.frameSize, value.frameCount, value.headroom];
  const whole =
    Number.isSafeInteger(value.link) && numbers.every((one) => Number.isSafeInteger(one) && (one as number) >= 0);
  if (!whole || typeof value.interface !== "string" || typeof value.rings !== "object" || value.rings === null)
    throw refused(`${VARIABLE} is incomplete`);
  if (value.frameSize === 0 || value.frameCount === 0) throw refused(`${VARIABLE} names no frames`);
  if (value.socket !== fd) throw refused(`descriptor ${fd} is not the socket that was handed over: ${value.socket} is`);
  return value as Handover;
}
