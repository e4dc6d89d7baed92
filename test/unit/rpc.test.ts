// SPDX-License-Identifier: MIT
import { Socket as NetSocket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import type { XdpctlEvent } from "../../src/events/index.js";
import { AF_UNIX, abstractAddress, SOCK_STREAM, Socket } from "../../src/linux/index.js";
import { LineSplitter } from "../../src/rpc/lines.js";
import { type Backend, connect, RpcServer, type RpcServerOptions, type Subscription } from "../../src/rpc/index.js";

let serial = 0;
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A backend whose events the test sends itself. */
class FakeBackend implements Backend {
  readonly readers = new Set<(event: XdpctlEvent) => void>();
  readonly asked: [string, unknown][] = [];
  interrupted = 0;
  answer: (method: string, params: unknown) => unknown = () => ({});
  end: () => void = () => {};

  async request(method: string, params: unknown): Promise<never> {
    this.asked.push([method, params]);
    return (await this.answer(method, params)) as never;
  }

  async subscribe(_stream: string, _params: unknown, item: (event: XdpctlEvent) => void): Promise<Subscription> {
    this.readers.add(item);
    let close: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      close = () => {
        this.readers.delete(item);
        resolve();
      };
    });
    this.end = close;
    return { ended, close, [Symbol.dispose]: close };
  }

  interruptLua(): void {
    this.interrupted++;
  }

  emit(event: XdpctlEvent): void {
    for (const reader of this.readers) reader(event);
  }
}

function log(text: string): XdpctlEvent {
  return { type: "policy", time: "2026-01-01T00:00:00.000Z", policy: "p", action: "log", text };
}

async function serve(options: RpcServerOptions = {}) {
  const address = `xdpctl-test/${process.pid}/${serial++}`;
  const backend = new FakeBackend();
  const server = await RpcServer.listen(address, backend, options);
  closing.push(() => server.close());
  return { address, backend, server };
}

async function client(address: string) {
  const connected = await connect(address);
  if (connected === undefined) throw new Error("nobody listens");
  closing.push(() => connected.close());
  return connected;
}

/** A connection that speaks no protocol by itself. */
function rawClient(address: string): NetSocket {
  const socket = new Socket(AF_UNIX, SOCK_STREAM, 0);
  expect(socket.connect(abstractAddress(address))).toBe(0);
  const raw = new NetSocket({ fd: socket.release(), readable: true, writable: true });
  raw.on("error", () => {});
  closing.push(() => raw.destroy());
  return raw;
}

async function readAll(socket: NetSocket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("the control socket", () => {
  it("is undefined to connect to when no controller listens", async () => {
    expect(await connect(`xdpctl-test/${process.pid}/nobody`)).toBeUndefined();
  });

  it("carries requests and their results, out of order", async () => {
    const { address, backend } = await serve();
    let release: (value: unknown) => void = () => {};
    backend.answer = (method) => {
      if (method === "info") return { pid: 1 };
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const rpc = await client(address);
    const slow = rpc.request("map.list", { all: true });
    expect(await rpc.request("info", {})).toEqual({ pid: 1 });
    release({ maps: [] });
    expect(await slow).toEqual({ maps: [] });
    expect(backend.asked).toEqual([
      ["map.list", { all: true }],
      ["info", {}],
    ]);
  });

  it("carries errors with their code, remedy, lines and log", async () => {
    const { address, backend } = await serve();
    const thrown = new XdpctlError("XDPCTL_E_VERIFIER", "refused", {
      remedy: "r",
      lines: ["a"],
      log: "long",
      errno: 13,
    });
    backend.answer = () => {
      throw thrown;
    };
    const rpc = await client(address);
    const error = await rpc.request("info", {}).catch((e: unknown) => e);
    expect(XdpctlError.is(error, "XDPCTL_E_VERIFIER")).toBe(true);
    expect((error as XdpctlError).toJSON()).toEqual(thrown.toJSON());
  });

  it("refuses a second controller and names the first one's pid", async () => {
    const { address } = await serve();
    const error = await RpcServer.listen(address, new FakeBackend()).catch((e: unknown) => e);
    expect(XdpctlError.is(error, "XDPCTL_E_CONTROLLER_RUNS")).toBe(true);
    expect((error as Error).message).toContain(`pid ${process.pid}`);
  });

  it("frees the address when it closes", async () => {
    const { address, server } = await serve();
    await server.close();
    const again = await RpcServer.listen(address, new FakeBackend());
    await again.close();
  });

  it("gives every subscriber all items in order, and ends with the stream", async () => {
    const { address, backend } = await serve();
    const texts: string[][] = [[], []];
    const subscriptions = await Promise.all(
      texts.map(async (list) =>
        (await client(address)).subscribe("events", {}, (event) =>
          list.push(event.type === "policy" ? event.text : ""),
        ),
      ),
    );
    for (let i = 0; i < 1000; i++) backend.emit(log(String(i)));
    const all = Array.from({ length: 1000 }, (_, i) => String(i));
    await until(() => texts.every((list) => list.length === 1000), "all items");
    expect(texts).toEqual([all, all]);
    const [first, second] = subscriptions;
    first?.close();
    await first?.ended;
    await until(() => backend.readers.size === 1, "the cancellation");
    backend.end();
    await second?.ended;
  });

  it("closes a client's subscriptions when it goes away", async () => {
    const { address, backend, server } = await serve();
    const rpc = await client(address);
    await rpc.subscribe("events", {}, () => {});
    expect(backend.readers.size).toBe(1);
    rpc.close();
    await until(() => backend.readers.size === 0 && server.clients === 0, "the controller to notice");
  });

  it("fails what is under way with XDPCTL_E_DISCONNECTED when the controller ends, and what comes later", async () => {
    const { address, backend, server } = await serve();
    backend.answer = () => new Promise(() => {});
    const rpc = await client(address);
    const pending = rpc.request("info", {}).catch((e: unknown) => e);
    const subscription = await rpc.subscribe("events", {}, () => {});
    await server.close();
    expect(XdpctlError.is(await pending, "XDPCTL_E_DISCONNECTED")).toBe(true);
    await subscription.ended;
    const later = await rpc.request("info", {}).catch((e: unknown) => e);
    expect(XdpctlError.is(later, "XDPCTL_E_DISCONNECTED")).toBe(true);
  });

  it("never grows for a client that stops reading, and tells it what it missed", async () => {
    const { address, backend, server } = await serve({ queueLimit: 100_000 });
    const raw = rawClient(address);
    raw.pause();
    raw.write(`${JSON.stringify({ id: 1, subscribe: "events", params: {} })}\n`);
    await until(() => backend.readers.size === 1, "the subscription");
    const text = "x".repeat(1000);
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100; i++) backend.emit(log(text));
      await new Promise((resolve) => setImmediate(resolve));
      expect(server.queued).toBeLessThan(110_000);
    }
    expect(server.dropped).toBeGreaterThan(1000);
    let received = 0;
    let lost = 0;
    const splitter = new LineSplitter(1 << 20);
    raw.on("data", (chunk: Buffer) => {
      for (const line of splitter.push(chunk)) {
        const message = JSON.parse(line) as { item?: XdpctlEvent };
        if (message.item?.type === "lost") {
          expect(message.item.where).toBe("reader");
          lost += message.item.count;
        } else if (message.item !== undefined) received++;
      }
    });
    raw.resume();
    await until(() => received + lost === 5000, "every item to be there or reported as lost");
    expect(lost).toBe(server.dropped);
    backend.emit(log("after"));
    await until(() => received + lost === 5001, "the stream to go on");
  });

  it("stops reading from a client that asks without reading the answers", async () => {
    const { address, backend, server } = await serve({ queueLimit: 100_000 });
    backend.answer = () => ({ text: "x".repeat(50_000) });
    const raw = rawClient(address);
    raw.pause();
    for (let id = 1; id <= 2000; id++) raw.write(`${JSON.stringify({ id, method: "info", params: {} })}\n`);
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    // One read of 64 KiB may hold more requests than the limit knows; all 2,000 answers would be 100 MB.
    expect(backend.asked.length).toBeLessThan(2000);
    expect(server.queued).toBeLessThan(90_000_000);
  });

  it("answers a line that is no JSON with an error, and closes", async () => {
    const { address, server } = await serve();
    for (const line of ["{", "[]", '{"id":0}', '{"id":"1"}', "null"]) {
      const raw = rawClient(address);
      const answer = readAll(raw);
      raw.write(`${line}\n`);
      expect(JSON.parse(await answer)).toMatchObject({ id: 0, error: { code: "XDPCTL_E_RPC" } });
    }
    await until(() => server.clients === 0, "the connections to end");
  });

  it("refuses a request that is too long", async () => {
    const { address } = await serve({ requestLimit: 1000 });
    const raw = rawClient(address);
    const answer = readAll(raw);
    raw.write("x".repeat(5000));
    expect(JSON.parse(await answer)).toMatchObject({ id: 0, error: { code: "XDPCTL_E_RPC" } });
  });

  it("answers an unknown method or stream, and goes on", async () => {
    const { address, backend } = await serve();
    const rpc = await client(address);
    for (const method of ["nonsense", "toString", "__proto__"]) {
      const error = await rpc.request(method as "info", {}).catch((e: unknown) => e);
      expect(XdpctlError.is(error, "XDPCTL_E_RPC")).toBe(true);
    }
    const error = await rpc.subscribe("nothing" as "events", {}, () => {}).catch((e: unknown) => e);
    expect(XdpctlError.is(error, "XDPCTL_E_RPC")).toBe(true);
    expect(backend.asked).toEqual([]);
    expect(await rpc.request("info", {})).toEqual({});
  });

  it("refuses whom it does not know", async () => {
    const { address, backend } = await serve({ authorize: () => false });
    const rpc = await client(address);
    const error = await rpc.request("info", {}).catch((e: unknown) => e);
    expect(XdpctlError.is(error, "XDPCTL_E_PERMISSION")).toBe(true);
    expect(backend.asked).toEqual([]);
  });

  it("knows who asks", async () => {
    const seen: unknown[] = [];
    const { address } = await serve({
      authorize: (peer) => {
        seen.push(peer);
        return true;
      },
    });
    const rpc = await client(address);
    await rpc.request("info", {});
    expect(seen).toEqual([{ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() }]);
    expect(rpc.peer.pid).toBe(process.pid);
  });

  it("interrupts Lua that runs", async () => {
    const { address, backend } = await serve();
    let finish: (value: unknown) => void = () => {};
    backend.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const rpc = await client(address);
    const running = rpc.request("lua", { code: "while true do end", expression: false });
    await until(() => backend.asked.length === 1, "the request");
    rpc.interruptLua();
    await until(() => backend.interrupted === 1, "the interruption");
    finish({ output: [], values: [] });
    await running;
  });
});

describe("LineSplitter", () => {
  it("joins what the socket cut, bytes of one character too", () => {
    const bytes = Buffer.from("eins\nzwö→lf\n\nrest");
    for (let size = 1; size < 8; size++) {
      const splitter = new LineSplitter(100);
      const lines: string[] = [];
      for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)));
      expect(lines).toEqual(["eins", "zwö→lf"]);
    }
  });

  it("refuses a line beyond its limit as soon as it is", () => {
    const splitter = new LineSplitter(10);
    expect([...splitter.push(Buffer.from("0123456789\n"))]).toEqual(["0123456789"]);
    expect(() => [...splitter.push(Buffer.from("0123456789a"))]).toThrow(/longer than 10 bytes/);
  });
});
