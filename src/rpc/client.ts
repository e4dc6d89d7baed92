// SPDX-License-Identifier: MIT
import { Socket as NetSocket } from "node:net";
import { XdpctlError } from "../errors/index.js";
import {
  AF_UNIX,
  abstractAddress,
  errno,
  peerCredentials,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  Socket,
  syscallError,
} from "../linux/index.js";
import { ANSWER_LIMIT, CONTROL_ADDRESS } from "./address.js";
import { LineSplitter } from "./lines.js";
import type {
  Backend,
  ClientMessage,
  Method,
  Methods,
  ServerMessage,
  Stream,
  Streams,
  Subscription,
} from "./protocol.js";
import { type Peer, rootOrSelf } from "./server.js";

interface Pending {
  method: Method | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Reader {
  item(item: unknown): void;
  end(): void;
}

/** A controller behind the control socket. */
export class RpcClient implements Backend {
  /** The controller's process. */
  readonly peer: Peer;
  readonly #socket: NetSocket;
  readonly #lines = new LineSplitter(ANSWER_LIMIT);
  readonly #pending = new Map<number, Pending>();
  readonly #readers = new Map<number, Reader>();
  #nextId = 1;
  #failure: XdpctlError | undefined;

  constructor(socket: NetSocket, peer: Peer) {
    this.#socket = socket;
    this.peer = peer;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => this.#fail());
    socket.on("close", () => this.#fail());
  }

  async request<M extends Method>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return (await this.#ask((id) => ({ id, method, params }), method)) as Methods[M]["result"];
  }

  async subscribe<S extends Stream>(
    stream: S,
    params: Streams[S]["params"],
    item: (item: Streams[S]["item"]) => void,
  ): Promise<Subscription> {
    let end: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    let id = 0;
    await this.#ask((next) => {
      id = next;
      this.#readers.set(id, { item: item as (item: unknown) => void, end });
      return { id, subscribe: stream, params };
    }).catch((error: unknown) => {
      this.#readers.delete(id);
      throw error;
    });
    const close = (): void => {
      if (!this.#readers.delete(id)) return;
      if (this.#failure === undefined) this.#send({ id, cancel: true });
      end();
    };
    return { ended, close, [Symbol.dispose]: close };
  }

  interruptLua(): void {
    for (const [id, { method }] of this.#pending) if (method === "lua") this.#send({ id, cancel: true });
  }

  /** Ends the connection: what is under way fails with XDPCTL_E_DISCONNECTED, subscriptions end. */
  close(): void {
    this.#socket.destroy();
    this.#fail();
  }

  #ask(make: (id: number) => ClientMessage, method?: Method): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { method, resolve, reject });
      this.#send(make(id));
    });
  }

  #send(message: ClientMessage): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) this.#handle(JSON.parse(line) as ServerMessage);
    } catch (cause) {
      const text = "the controller's answer can't be read";
      this.#fail(XdpctlError.is(cause) ? cause : new XdpctlError("XDPCTL_E_RPC", text, { cause }));
      this.#socket.destroy();
    }
  }

  #handle(message: ServerMessage): void {
    if ("item" in message) {
      this.#readers.get(message.id)?.item(message.item);
      return;
    }
    if ("end" in message) {
      const reader = this.#readers.get(message.id);
      this.#readers.delete(message.id);
      reader?.end();
      this.#pending.get(message.id)?.resolve(null);
      this.#pending.delete(message.id);
      return;
    }
    if (message.id === 0) {
      if ("error" in message) this.#fail(XdpctlError.from(message.error));
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ("error" in message) pending?.reject(XdpctlError.from(message.error));
    else pending?.resolve(message.result);
  }

  #fail(error?: XdpctlError): void {
    this.#failure ??= error ?? new XdpctlError("XDPCTL_E_DISCONNECTED", "the controller closed the connection");
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
    for (const { end } of this.#readers.values()) end();
    this.#readers.clear();
  }
}

/**
 * Connects to the controller of the calling thread's network namespace; undefined when none listens. Throws
 * XDPCTL_E_PERMISSION when the one who listens is neither root nor our own user: anyone may take a free address.
 */
export async function connect(address: string = CONTROL_ADDRESS): Promise<RpcClient | undefined> {
  const socket = new Socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const result = socket.connect(abstractAddress(address));
  if (result < 0) {
    socket.close();
    if (result === -errno.ECONNREFUSED) return undefined;
    if (result === -errno.EAGAIN) {
      throw new XdpctlError("XDPCTL_E_TIMEOUT", "the controller does not answer: its queue of connections is full");
    }
    throw syscallError("connecting to the controller", -result);
  }
  const peer = peerCredentials(socket.fd);
  if (!rootOrSelf(peer)) {
    socket.close();
    throw new XdpctlError(
      "XDPCTL_E_PERMISSION",
      `the control address is held by pid ${peer.pid} of uid ${peer.uid}, which is neither root nor you`,
    );
  }
  return new RpcClient(new NetSocket({ fd: socket.release(), readable: true, writable: true }), peer);
}
