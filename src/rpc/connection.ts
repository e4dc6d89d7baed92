// SPDX-License-Identifier: MIT
import type { Socket } from "node:net";
import { XdpctlError } from "../errors/index.js";
import { QUEUE_LIMIT, REQUEST_LIMIT, REQUESTS_AT_ONCE, SUBSCRIPTIONS_AT_ONCE } from "./address.js";
import { LineSplitter } from "./lines.js";
import { checkClientMessage, parseClientMessage } from "./methods.js";
import { OutQueue } from "./outqueue.js";
import type { Backend, ClientMessage, Method, Methods, Subscription } from "./protocol.js";

export interface ConnectionLimits {
  requestLimit?: number;
  queueLimit?: number;
}

/** The controller's end of one client's connection. */
export class Connection {
  readonly #socket: Socket;
  readonly #backend: Backend;
  readonly #lines: LineSplitter;
  readonly #out: OutQueue;
  readonly #running = new Map<number, Method>();
  readonly #subscriptions = new Map<number, Subscription | "cancelled" | "opening">();
  #closed = false;

  constructor(socket: Socket, backend: Backend, name: string, limits: ConnectionLimits) {
    this.#socket = socket;
    this.#backend = backend;
    this.#lines = new LineSplitter(limits.requestLimit ?? REQUEST_LIMIT);
    this.#out = new OutQueue(socket, limits.queueLimit ?? QUEUE_LIMIT, name);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#throttle());
    socket.on("error", () => this.close());
    socket.on("close", () => this.close());
  }

  /** Stream items that this client missed. */
  get dropped(): number {
    return this.#out.dropped;
  }

  /** Characters that wait for this client. */
  get queued(): number {
    return this.#out.queued;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const subscription of this.#subscriptions.values()) {
      if (typeof subscription !== "string") subscription.close();
    }
    this.#subscriptions.clear();
    this.#out.close();
    this.#socket.destroy();
  }

  /** Sends what waits, as far as the client takes it at once, and ends. */
  end(): void {
    if (this.#closed) return;
    this.#out.flush();
    this.#socket.end(() => this.close());
    // A client that does not read must not keep the controller from ending.
    setTimeout(() => this.close(), 200).unref();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        if (this.#closed) return;
        this.#handle(parseClientMessage(line));
      }
    } catch (error) {
      this.#out.message({ id: 0, error: XdpctlError.wrap(error).toJSON() });
      this.#socket.pause();
      this.end();
      return;
    }
    this.#throttle();
  }

  /** What the client does not read of its answers, it may not ask for either. */
  #throttle(): void {
    if (this.#closed) return;
    const busy = this.#running.size >= REQUESTS_AT_ONCE || this.#out.full;
    if (busy) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #handle(message: ClientMessage): void {
    if ("cancel" in message) {
      this.#cancel(message.id);
      return;
    }
    try {
      checkClientMessage(message);
      if (this.#running.has(message.id) || this.#subscriptions.has(message.id)) {
        throw new XdpctlError("XDPCTL_E_RPC", `the id ${message.id} is in use`);
      }
      if ("subscribe" in message) void this.#subscribe(message);
      else void this.#request(message);
    } catch (error) {
      this.#out.message({ id: message.id, error: XdpctlError.wrap(error).toJSON() });
    }
  }

  async #request(message: Extract<ClientMessage, { method: Method }>): Promise<void> {
    const { id, method } = message;
    this.#running.set(id, method);
    try {
      const result = await this.#backend.request(method, message.params as Methods[Method]["params"]);
      if (!this.#closed) this.#out.message({ id, result });
    } catch (error) {
      if (!this.#closed) this.#out.message({ id, error: XdpctlError.wrap(error).toJSON() });
    } finally {
      this.#running.delete(id);
      this.#throttle();
    }
  }

  async #subscribe(message: Extract<ClientMessage, { subscribe: string }>): Promise<void> {
    const { id } = message;
    try {
      if (this.#subscriptions.size >= SUBSCRIPTIONS_AT_ONCE) {
        throw new XdpctlError("XDPCTL_E_RPC", `a client may hold ${SUBSCRIPTIONS_AT_ONCE} subscriptions`);
      }
      this.#subscriptions.set(id, "opening");
      const subscription = await this.#backend.subscribe(message.subscribe, message.params as object, (item) => {
        if (!this.#closed && this.#subscriptions.has(id)) this.#out.item(id, item);
      });
      if (this.#closed || this.#subscriptions.get(id) === "cancelled") subscription.close();
      else {
        this.#subscriptions.set(id, subscription);
        // The client waits for it: a subscription that was refused is an error, and not an empty stream.
        this.#out.message({ id, result: null });
      }
      await subscription.ended;
      if (!this.#closed) this.#out.message({ id, end: true });
    } catch (error) {
      if (!this.#closed) this.#out.message({ id, error: XdpctlError.wrap(error).toJSON() });
    } finally {
      this.#subscriptions.delete(id);
      this.#out.forget(id);
    }
  }

  #cancel(id: number): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === "opening") this.#subscriptions.set(id, "cancelled");
    else if (subscription !== undefined && subscription !== "cancelled") subscription.close();
    else if (this.#running.get(id) === "lua") this.#backend.interruptLua?.();
  }
}
