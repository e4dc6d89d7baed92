// SPDX-License-Identifier: MIT
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { constants } from "node:os";
import type { Agent, GuestHello } from "./agent.js";
import {
  encodeFrame,
  encodeList,
  encodeU32,
  type Frame,
  FrameReader,
  GUEST,
  HOST,
  PROTOCOL_VERSION,
  WINDOW,
} from "./frames.js";

/**
 * Lets any number of clients use one guest's agent: each speaks the protocol of rootfs/agent/protocol.h at a unix socket as
 * if it were alone, so that a client is an `Agent` at a connection. What a client that goes leaves running is hung up.
 */
export class Relay implements Disposable {
  readonly #server: Server;
  readonly #clients = new Set<Client>();

  /** Listens at `path`, which only this user may connect to. */
  static async listen(path: string, agent: Agent, hello: GuestHello): Promise<Relay> {
    const relay = new Relay(agent, hello);
    await new Promise<void>((resolve, reject) => {
      relay.#server.once("error", reject);
      relay.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return relay;
  }

  private constructor(agent: Agent, hello: GuestHello) {
    this.#server = createServer((socket) => {
      const client = new Client(socket, agent, hello);
      this.#clients.add(client);
      socket.once("close", () => this.#clients.delete(client));
    });
  }

  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** One command or operation of a client. */
interface Errand {
  /** Its id in the guest. */
  readonly id: number;
  readonly isCommand: boolean;
  /** Bytes of each output that the client has not granted again. */
  readonly ungranted: [number, number, number];
}

class Client {
  readonly #socket: Socket;
  readonly #agent: Agent;
  readonly #reader = new FrameReader();
  /** By the client's own ids. */
  readonly #errands = new Map<number, Errand>();
  #gone = false;

  constructor(socket: Socket, agent: Agent, hello: GuestHello) {
    this.#socket = socket;
    this.#agent = agent;
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
    socket.on("error", () => undefined);
    socket.once("close", () => this.#hangUp());
    const words = [String(PROTOCOL_VERSION), hello.kernel, String(hello.uptime)];
    socket.write(encodeFrame(GUEST.hello, 0, encodeList(words)));
  }

  #received(bytes: Buffer): void {
    try {
      for (const frame of this.#reader.push(bytes)) this.#fromClient(frame);
    } catch {
      // What is no frame comes from no client of ours.
      this.#socket.destroy();
    }
  }

  #fromClient({ type, id, stream, data }: Frame): void {
    // How much came over the port, and whether the guest goes on, is the business of who owns the port.
    if (id === 0) return;
    if (type === HOST.exec || type === HOST.op) {
      // A long list of a command comes in several frames.
      const mine = this.#errands.get(id)?.id ?? this.#begin(id, type === HOST.exec);
      this.#agent.forward(type, mine, data, stream);
      return;
    }
    const errand = this.#errands.get(id);
    if (errand === undefined) return;
    if (type === HOST.credit && (stream === 1 || stream === 2)) errand.ungranted[stream] -= data.readUInt32LE(0);
    this.#agent.forward(type, errand.id, data, stream);
    if (type === HOST.ack) this.#end(id, errand);
  }

  #begin(id: number, isCommand: boolean): number {
    const mine = this.#agent.adopt({
      received: (frame) => this.#fromGuest(id, frame),
      lost: () => this.close(),
    });
    this.#errands.set(id, { id: mine, isCommand, ungranted: [0, 0, 0] });
    return mine;
  }

  #end(id: number, errand: Errand): void {
    this.#agent.release(errand.id);
    this.#errands.delete(id);
  }

  #fromGuest(id: number, { type, stream, data }: Frame): void {
    const errand = this.#errands.get(id);
    if (errand === undefined) return;
    if (type === GUEST.data && (stream === 1 || stream === 2)) {
      errand.ungranted[stream] += data.length;
      if (errand.ungranted[stream] > WINDOW) throw new Error("the guest sent more than was granted");
    }
    if (!this.#gone) this.#socket.write(encodeFrame(type, id, data, stream));
    if (type === GUEST.done) this.#end(id, errand);
    if (!this.#gone) return;
    // Nobody reads it any more: it is thrown away, and its end is known.
    this.#grant(errand);
    if (type === GUEST.exit) {
      this.#agent.forward(HOST.ack, errand.id, NOTHING);
      this.#end(id, errand);
    }
  }

  #grant(errand: Errand): void {
    for (const stream of [1, 2] as const) {
      const bytes = errand.ungranted[stream];
      errand.ungranted[stream] = 0;
      if (bytes > 0) this.#agent.forward(HOST.credit, errand.id, encodeU32(bytes), stream);
    }
  }

  #hangUp(): void {
    this.#gone = true;
    for (const errand of this.#errands.values()) {
      if (!errand.isCommand) continue;
      this.#agent.forward(HOST.eof, errand.id, NOTHING);
      this.#agent.forward(HOST.signal, errand.id, encodeU32(constants.signals.SIGHUP));
      this.#grant(errand);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

const NOTHING = new Uint8Array(0);
