// SPDX-License-Identifier: MIT
import { createSocket } from "node:dgram";
import { isIPv4 } from "node:net";
import { XdpctlError } from "../../errors/index.js";
import { decodeMproxy, encodeMproxy, MPROXY_PORT } from "../../packet/index.js";
import { usage } from "../command.js";

export interface DetourQuestion {
  /** IPv4 address of the host that may pass things on. */
  readonly detour: string;
  readonly remote: string;
  readonly remotePort: number;
  /** The port that one would like, 0 for any. */
  readonly wish?: number;
  /** The address from which the subflow will come. */
  readonly from?: string;
  /** The detour's UDP port. */
  readonly port?: number;
  /** Milliseconds to wait for an answer. */
  readonly timeout: number;
}

const FIRST_RETRY_MS = 250;

/** Checks an IPv4 address of a command line; detours have no others. */
export function ipv4(text: string): string {
  if (isIPv4(text)) return text;
  throw usage(`${JSON.stringify(text)} is not an IPv4 address`, "detours are for IPv4, as their protocol is");
}

/** Asks a detour for a way to a remote, again and again until it answers. Errors: XDPCTL_E_TIMEOUT, XDPCTL_E_SYSCALL. */
export function askDetour(question: DetourQuestion): Promise<number> {
  const { detour, remote, remotePort, wish = 0, from, port = MPROXY_PORT, timeout } = question;
  const what = `asking the detour ${detour} for a way to ${remote}:${remotePort}`;
  const socket = createSocket("udp4");
  const request = encodeMproxy({ op: "request", address: remote, port: remotePort, detourPort: wish });
  const timers: NodeJS.Timeout[] = [];
  const answer = new Promise<number>((resolve, reject) => {
    const ask = (pause: number): void => {
      socket.send(request);
      timers.push(setTimeout(() => ask(pause * 2), pause));
    };
    timers.push(
      setTimeout(
        () => reject(new XdpctlError("XDPCTL_E_TIMEOUT", `${what}: no answer in ${timeout / 1000} s`)),
        timeout,
      ),
    );
    socket.on("message", (bytes) => {
      const message = decodeMproxy(bytes);
      if (message?.op !== "response" || message.address !== remote || message.port !== remotePort) return;
      resolve(message.detourPort);
    });
    const failed = (cause: NodeJS.ErrnoException): void => {
      // Nobody listens there yet: the next question may find someone.
      if (cause.code === "ECONNREFUSED") return;
      reject(new XdpctlError("XDPCTL_E_SYSCALL", `${what}: ${cause.message}`, { cause }));
    };
    socket.on("error", failed);
    // Connected, it hears its detour only.
    socket.bind({ port: 0, ...(from === undefined ? {} : { address: from }) }, () => {
      // Without a route there it is called, too: with the error.
      const connected = (cause?: Error): void =>
        cause === undefined || cause === null ? ask(FIRST_RETRY_MS) : failed(cause);
      socket.connect(port, detour, connected);
    });
  });
  return answer.finally(() => {
    for (const timer of timers) clearTimeout(timer);
    socket.close();
  });
}
