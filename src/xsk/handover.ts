// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { keepFromChildren, Socket } from "../linux/index.js";
import { makeSocket } from "./bind.js";
import { checkOptions } from "./check.js";
import { checkDescriptors, type Handover, readHandover, VARIABLE, VERSION } from "./handed-over.js";
import { findInterface } from "./interface.js";
import { Redirect } from "./redirect.js";
import { checkRingSizes } from "./ring.js";
import { XskSocket } from "./socket.js";
import { redirection, ringSizes, type XskOptions } from "./options.js";
import { Umem } from "./umem.js";

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
    checkOptions(umem, options);
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
 * What it is told of them is not trusted: memory that may be cut off, descriptors of another kind, and sizes that are none
 * are refused, and what the kernel may say because the memory was registered otherwise stays within it.
 *
 * Errors: XDPCTL_E_HANDOVER where the environment has no such socket, and the descriptors stay open; those of bind(2) as for
 * `XskSocket.open`.
 */
export function adoptSocket(fd: number, environment: NodeJS.ProcessEnv = process.env): XskSocket {
  const given = readHandover(fd, environment[VARIABLE]);
  checkDescriptors(given);
  const { memory, frameSize, frameCount, headroom, unaligned, rings } = given;
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
