// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { ECHO } from "./families.js";
import { type GenericFamily, GenericSocket } from "./generic.js";

/** What an echo client needs of generic netlink. */
export type EchoSocket = Pick<GenericSocket, "family" | "request" | "close">;

export interface EchoReply {
  readonly text: string;
  /** From the request's send to the reply, in microseconds. */
  readonly microseconds: number;
}

const REMEDY =
  "it is the module kmod/genl-echo, for a kernel that takes modules: the guest of `npm run lab:vm` has it, others by `xdpctl vm run --module FILE -- COMMAND`";

/** Has a kernel module answer with the text that it is sent: the family ECHO, or one that speaks the same. */
export class EchoClient implements Disposable {
  readonly family: string;
  readonly #socket: EchoSocket;

  constructor(family: string = ECHO.name, socket: EchoSocket = new GenericSocket()) {
    this.family = family;
    this.#socket = socket;
  }

  /** Finds the family. Throws XDPCTL_E_NO_FAMILY, which says how to get it. */
  find(): GenericFamily {
    try {
      return this.#socket.family(this.family);
    } catch (error) {
      if (this.family !== ECHO.name || !XdpctlError.is(error, "XDPCTL_E_NO_FAMILY")) throw error;
      throw XdpctlError.from({ ...error.toJSON(), remedy: REMEDY });
    }
  }

  /**
   * One echo. The family is found anew each time: a module may be loaded again, and has another number then.
   * Throws XDPCTL_E_NO_FAMILY, XDPCTL_E_NETLINK (with the kernel's extended-ack text), XDPCTL_E_USAGE for a text with a
   * NUL or beyond 65,530 bytes.
   */
  echo(text: string): EchoReply {
    const body = ECHO.encode({ message: text });
    const family = this.find();
    const what = `echo of ${Buffer.byteLength(text)} bytes through ${this.family}`;
    const before = process.hrtime.bigint();
    const answers = this.#socket.request(family, ECHO.commands.echo, body, what);
    const microseconds = Number(process.hrtime.bigint() - before) / 1000;
    const [reply] = answers.filter(({ command }) => command === ECHO.commands.echo).map((one) => ECHO.decode(one));
    if (reply?.message === undefined)
      throw new XdpctlError("XDPCTL_E_NETLINK", `${what}: the kernel sent no text back`);
    return { text: reply.message, microseconds };
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
