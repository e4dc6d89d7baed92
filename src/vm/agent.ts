// SPDX-License-Identifier: MIT
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { errnoText } from "../linux/index.js";
import { XdpctlError } from "../errors/index.js";
import { GuestCommand, type GuestCommandOptions } from "./guest-command.js";
import {
  decodeList,
  encodeFrame,
  encodeList,
  encodeU32,
  type Frame,
  FrameReader,
  GUEST,
  HOST,
  PROTOCOL_VERSION,
} from "./frames.js";

/** What a guest says of itself when its agent has started. */
export interface GuestHello {
  readonly kernel: string;
  /** Seconds from the kernel's start to the agent's. */
  readonly uptime: number;
}

interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

/** Who gets what the guest says of one command or operation. */
export interface Receiver {
  received(frame: Frame): void;
  lost(error: XdpctlError): void;
}

interface AgentEvents {
  /** A record of the guest's kernel log: `PRIORITY,SEQUENCE,MICROSECONDS,…;TEXT`. */
  kmsg: [record: string];
  /** The connection is gone, and with it all that ran. */
  close: [];
}

/**
 * The agent of a guest at the other end of a stream: steps that make the guest ready, and commands that run in it, any
 * number at once. See rootfs/agent/protocol.h.
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #stream: Duplex;
  readonly #reader = new FrameReader();
  readonly #receivers = new Map<number, Receiver>();
  readonly #operations = new Map<number, Pending>();
  #next = 1;
  /** Bytes that came, and that the guest does not know of yet. */
  #came = 0;
  #closed = false;
  /** Changes with everything that is heard of the guest. */
  heard = 0;
  /** When the agent has started. Rejects where the connection ends before. */
  readonly hello: Promise<GuestHello>;
  #greet: { resolve(hello: GuestHello): void; reject(error: Error): void };

  constructor(stream: Duplex) {
    super();
    this.#stream = stream;
    const { promise, resolve, reject } = withResolvers<GuestHello>();
    this.hello = promise;
    promise.catch(() => undefined);
    this.#greet = { resolve, reject };
    stream.on("data", (bytes: Buffer) => this.#received(bytes));
    stream.on("error", () => this.#end());
    stream.on("close", () => this.#end());
  }

  #received(bytes: Buffer): void {
    // One answer for all that comes in this turn.
    if (this.#came === 0) setImmediate(() => this.#tellCame());
    this.#came += bytes.length;
    this.heard++;
    try {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    } catch {
      // What is no frame comes from no agent of ours.
      this.#stream.destroy();
    }
  }

  #tellCame(): void {
    this.#send(HOST.credit, 0, encodeU32(this.#came));
    this.#came = 0;
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case GUEST.hello:
        this.#hello(decodeList(frame.data));
        return;
      case GUEST.done:
        if (this.#operations.has(frame.id)) this.#done(frame);
        else this.#receivers.get(frame.id)?.received(frame);
        return;
      case GUEST.kmsg:
        this.emit("kmsg", frame.data.toString("utf8"));
        return;
      default:
        this.#receivers.get(frame.id)?.received(frame);
    }
  }

  #hello([version, kernel = "", uptime = "0"]: string[]): void {
    if (Number(version) === PROTOCOL_VERSION) this.#greet.resolve({ kernel, uptime: Number(uptime) });
    else this.#greet.reject(new XdpctlError("XDPCTL_E_INTERNAL", `the guest's agent speaks version ${version}`));
  }

  #done({ id, data }: Frame): void {
    const pending = this.#operations.get(id);
    this.#operations.delete(id);
    const number = data.readInt32LE(0);
    if (number === 0) pending?.resolve();
    else {
      const text = `in the guest: ${data.toString("utf8", 4).trim()}: ${errnoText(number)}`;
      pending?.reject(new XdpctlError("XDPCTL_E_VM_SETUP", text, { errno: number }));
    }
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    const gone = new XdpctlError("XDPCTL_E_VM_DIED", "the guest is gone");
    this.#greet.reject(gone);
    for (const pending of this.#operations.values()) pending.reject(gone);
    for (const receiver of this.#receivers.values()) receiver.lost(gone);
    this.#operations.clear();
    this.#receivers.clear();
    this.emit("close");
  }

  #send(type: number, id: number, data?: Uint8Array): void {
    if (!this.#closed) this.#stream.write(encodeFrame(type, id, data));
  }

  /** One step (operations.c): its name and arguments. Steps are done in the order in which they are asked for. */
  operation(...words: readonly string[]): Promise<void> {
    const id = this.#next++;
    if (this.#closed) return Promise.reject(new XdpctlError("XDPCTL_E_VM_DIED", "the guest is gone"));
    return new Promise((resolve, reject) => {
      this.#operations.set(id, { resolve, reject });
      this.#send(HOST.op, id, encodeList(words));
    });
  }

  /** Several steps; fails with the first that failed. */
  async operations(steps: readonly (readonly string[])[]): Promise<void> {
    const results = await Promise.allSettled(steps.map((words) => this.operation(...words)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Starts a command in the guest. */
  exec(options: GuestCommandOptions): GuestCommand {
    const id = this.#next++;
    const command = new GuestCommand(id, options, {
      send: (type, data, stream) => {
        if (!this.#closed) this.#stream.write(encodeFrame(type, id, data, stream));
      },
      ended: () => {
        this.#send(HOST.ack, id);
        this.#receivers.delete(id);
      },
    });
    if (this.#closed) command.lost(new XdpctlError("XDPCTL_E_VM_DIED", "the guest is gone"));
    else {
      this.#receivers.set(id, command);
      command.start();
    }
    return command;
  }

  /** A new id for what another client asks of this guest; until `release`, `receiver` gets all that is said of it. */
  adopt(receiver: Receiver): number {
    const id = this.#next++;
    this.#receivers.set(id, receiver);
    return id;
  }

  release(id: number): void {
    this.#receivers.delete(id);
  }

  /** Passes a frame on, under an id that `adopt` gave. */
  forward(type: number, id: number, data: Uint8Array, stream = 0): void {
    if (!this.#closed) this.#stream.write(encodeFrame(type, id, data, stream));
  }

  /** Ends the guest. */
  powerOff(): void {
    this.#send(HOST.powerOff, 0);
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.#send(HOST.ping, 0, encodeU32(0));
  }

  close(): void {
    this.#stream.destroy();
    this.#end();
  }
}

/** Promise.withResolvers of newer versions of Node. */
function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: Error): void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
