// SPDX-License-Identifier: MIT
import { lookup } from "node:dns/promises";
import { createServer, isIP, type Server, type ServerOpts, Socket as Stream } from "node:net";
import { XdpctlError } from "../errors/index.js";
import {
  errno,
  errnoText,
  getSocketOption,
  IPPROTO_MPTCP,
  SO_REUSEADDR,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  Socket,
  socketAddress,
  syscallError,
} from "../linux/index.js";

const SO_PROTOCOL = 38;
const BACKLOG = 511;
const DEFAULT_TIMEOUT_MS = 30_000;

/** What a socket speaks: `tcp` where MPTCP could not be had, and then `reason` says why. */
export interface MptcpProtocol {
  readonly protocol: "mptcp" | "tcp";
  readonly reason?: string;
}

export interface MptcpConnectOptions {
  /** An address or a name. */
  host: string;
  port: number;
  /** The address of the first subflow; the kernel's routes choose it otherwise. */
  localAddress?: string;
  /** Milliseconds for the first subflow to be there; 30 s by default. */
  timeout?: number;
}

export interface MptcpListenOptions {
  /** The address to listen on; `::`, which takes IPv4 as well, by default. */
  host?: string;
  /** 0: any free one. */
  port: number;
}

export interface MptcpStream extends MptcpProtocol {
  /** Connected. Reads, writes and ends as any other of Node's. */
  readonly socket: Stream;
}

export interface MptcpServer extends MptcpProtocol {
  /** Listening; clients that speak plain TCP are served, too. */
  readonly server: Server;
  readonly port: number;
}

/** A stream socket of the calling thread's network namespace: MPTCP, or TCP where the kernel has or allows none. */
function streamSocket(family: 4 | 6): { socket: Socket } & MptcpProtocol {
  const [domain, type] = [family === 4 ? 2 : 10, SOCK_STREAM | SOCK_NONBLOCK];
  try {
    return { socket: new Socket(domain, type, IPPROTO_MPTCP), protocol: "mptcp" };
  } catch (error) {
    if (!XdpctlError.is(error)) throw error;
    const reasons = new Map([
      [errno.EPROTONOSUPPORT, "this kernel has no MPTCP"],
      [errno.EINVAL, "this kernel has no MPTCP"],
      [errno.ENOPROTOOPT, "net.mptcp.enabled is 0"],
    ]);
    const reason = reasons.get(error.errno ?? 0);
    if (reason === undefined) throw error;
    return { socket: new Socket(domain, type, 0), protocol: "tcp", reason };
  }
}

/**
 * Connects by MPTCP in the calling thread's network namespace (where it is once a name is resolved). Further subflows come and go by the kernel's path manager
 * (`MptcpSocket`); the stream stays whole while one of them lives. Where the kernel has no MPTCP the stream is plain TCP,
 * and says so. A peer without MPTCP answers as plain TCP as well: `mptcpConnections` tells (`fallback`). Linux 5.6.
 * Errors: XDPCTL_E_SYSCALL with the reason, XDPCTL_E_TIMEOUT, XDPCTL_E_USAGE for what is no host or port.
 */
export async function connectMptcp(options: MptcpConnectOptions): Promise<MptcpStream> {
  const { host, port, localAddress, timeout = DEFAULT_TIMEOUT_MS } = options;
  checkPlace("connectMptcp", host, port, 1);
  const what = `connecting to ${host} port ${port}`;
  // An address is taken as it is, so that the socket is made before anything is waited for.
  const { address, family } = literal(host) ?? (await resolve(host, what));
  const { socket, ...protocol } = streamSocket(family);
  try {
    if (localAddress !== undefined)
      must(`${what}: binding to ${localAddress}`, socket.bind(socketAddress(localAddress, 0)));
    const result = socket.connect(socketAddress(address, port));
    if (result !== -errno.EINPROGRESS) must(what, result);
  } catch (error) {
    socket.close();
    throw error;
  }
  const stream = new Stream({ fd: socket.release(), readable: true, writable: true });
  await connected(stream, what, timeout);
  return { socket: stream, ...protocol };
}

/** The stream takes over a descriptor that still connects: its first write, of nothing, ends when it is. */
function connected(stream: Stream, what: string, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: XdpctlError): void => {
      clearTimeout(timer);
      stream.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new XdpctlError("XDPCTL_E_TIMEOUT", `${what}: no answer in ${timeout / 1000} s`)),
      timeout,
    );
    const onError = (cause: NodeJS.ErrnoException): void => {
      const number = Math.abs(cause.errno ?? 0);
      fail(new XdpctlError("XDPCTL_E_SYSCALL", `${what}: ${errnoText(number)}`, { cause, errno: number }));
    };
    stream.once("error", onError);
    stream.write("", (error) => {
      if (error != null) return;
      clearTimeout(timer);
      stream.off("error", onError);
      resolve();
    });
  });
}

/**
 * Listens for MPTCP in the calling thread's network namespace; `options` and `onConnection` are those of
 * `net.createServer`. Errors: XDPCTL_E_SYSCALL with the reason, XDPCTL_E_USAGE for what is no host or port.
 */
export async function listenMptcp(
  { host = "::", port }: MptcpListenOptions,
  onConnection: (socket: Stream) => void,
  options: ServerOpts = {},
): Promise<MptcpServer> {
  checkPlace("listenMptcp", host, port, 0);
  const what = `listening on ${host} port ${port}`;
  const { address, family } = literal(host) ?? (await resolve(host, what));
  const { socket, ...protocol } = streamSocket(family);
  const server = createServer(options, onConnection);
  try {
    socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1);
    must(what, socket.bind(socketAddress(address, port)));
    socket.listen(BACKLOG);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd: socket.release() }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    socket.close();
    throw error;
  }
  const at = server.address();
  return { server, port: typeof at === "object" && at !== null ? at.port : port, ...protocol };
}

/** Whether a connected stream is an MPTCP socket; one that was accepted from a peer without MPTCP is not. */
export function isMptcp(stream: Stream): boolean {
  const fd = (stream as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
  const value = new Int32Array(1);
  return fd >= 0 && getSocketOption(fd, SOL_SOCKET, SO_PROTOCOL, value) >= 0 && value[0] === IPPROTO_MPTCP;
}

/** Before anything is resolved or made: Node and the kernel would take some of these for another host or port. */
function checkPlace(what: string, host: unknown, port: unknown, lowest: number): void {
  if (typeof host !== "string" || host === "" || host.includes("\0")) {
    throw new XdpctlError("XDPCTL_E_USAGE", `${what}: ${JSON.stringify(host)} is no host`);
  }
  if (!Number.isInteger(port) || (port as number) < lowest || (port as number) > 65_535) {
    throw new XdpctlError("XDPCTL_E_USAGE", `${what}: ${String(port)} is no port (${lowest} to 65535)`);
  }
}

function literal(host: string): { address: string; family: 4 | 6 } | undefined {
  const family = isIP(host);
  return family === 0 ? undefined : { address: host, family: family === 6 ? 6 : 4 };
}

async function resolve(host: string, what: string): Promise<{ address: string; family: 4 | 6 }> {
  try {
    const { address, family } = await lookup(host);
    return { address, family: family === 6 ? 6 : 4 };
  } catch (cause) {
    throw new XdpctlError("XDPCTL_E_SYSCALL", `${what}: there is no host of that name`, {
      cause,
      remedy: "check the name",
    });
  }
}

function must(what: string, result: number): void {
  if (result < 0) throw syscallError(what, -result);
}
