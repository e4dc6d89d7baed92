// SPDX-License-Identifier: MIT
// One end of a test connection. It runs inside of a machine, whatever that is made of, and tells of itself a line at a
// time: `ready PORT`, `busy`, `sent`, `got`, `reached`, `error …`, `bytes N ms M`. It ends when its standard input does.
import { createSocket } from "node:dgram";
import { connect, createServer, isIPv6, type Socket } from "node:net";

const [role = "", address = "", portText = "0", msText = "0", token = ""] = process.argv.slice(2);
const port = Number(portText);
const ms = Number(msText);
const CHUNK = Buffer.alloc(256 << 10);
const RETRY_MS = 50;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const finish = (line: string): void => {
  process.stdout.write(`${line}\n`, () => process.exit(0));
};
const trouble = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EADDRINUSE") say("busy");
  else finish(`error ${error.message}`);
};

process.stdin.on("end", () => process.exit(0)).resume();

const roles: Record<string, () => void> = {
  /** Takes connections, so that there is somebody to connect to. */
  "tcp-listen": () => {
    const server = createServer((socket) => socket.on("error", () => {}).end());
    server.on("error", trouble).listen(port, address, () => say("ready"));
  },
  /** Connects again and again until it is taken or `ms` are over. */
  "tcp-connect": () => {
    const deadline = performance.now() + ms;
    const attempt = (): void => {
      const socket = connect({ port, host: address });
      const late = setTimeout(() => socket.destroy(new Error("no answer")), Math.max(deadline - performance.now(), 1));
      socket.once("connect", () => finish("reached"));
      socket.once("error", (error) => {
        clearTimeout(late);
        if (performance.now() + RETRY_MS > deadline) finish(`error ${error.message}`);
        else setTimeout(attempt, RETRY_MS);
      });
    };
    attempt();
  },
  "udp-listen": () => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.on("message", (data) => {
      if (data.toString("latin1") === token) finish("got");
    });
    socket.on("error", trouble).bind(port, address, () => say("ready"));
  },
  "udp-send": () => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    const send = (): void => {
      // What a datagram meets on its way (refused, unreachable) may be over at the next one.
      socket.send(token, port, address, () => {});
    };
    socket.on("error", () => {});
    send();
    say("sent");
    setInterval(send, RETRY_MS);
  },
  /** Counts what comes in over one connection for `ms`, from its first byte. */
  sink: () => {
    const server = createServer((socket) => {
      let bytes = 0;
      let start = 0;
      const report = (): void => finish(`bytes ${bytes} ms ${Math.max(performance.now() - start, 1)}`);
      socket.on("data", (data) => {
        if (start === 0) {
          start = performance.now();
          setTimeout(report, ms);
        }
        bytes += data.length;
      });
      socket.on("error", () => {}).on("close", report);
    });
    server.on("error", trouble).listen(port, address, () => {
      const bound = server.address();
      say(`ready ${typeof bound === "object" && bound !== null ? bound.port : 0}`);
    });
  },
  source: () => {
    const socket: Socket = connect({ port, host: address, noDelay: true });
    const fill = (): void => {
      while (socket.write(CHUNK));
    };
    socket.on("connect", fill).on("drain", fill);
    socket.on("error", (error) => finish(`error ${error.message}`)).on("close", () => process.exit(0));
  },
};

roles[role]?.();
