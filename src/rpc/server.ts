// SPDX-License-Identifier: MIT
import { createServer, type Server, type Socket as NetSocket } from "node:net";
import { XdpctlError } from "../errors/index.js";
import { AF_UNIX, abstractAddress, errno, peerCredentials, SOCK_STREAM, Socket, syscallError } from "../linux/index.js";
import { CONTROL_ADDRESS } from "./address.js";
import { Connection, type ConnectionLimits } from "./connection.js";
import type { Backend } from "./protocol.js";

/** Who is at the other end, as the kernel saw it when it connected. */
export interface Peer {
  pid: number;
  uid: number;
  gid: number;
}

export interface RpcServerOptions extends ConnectionLimits {
  /** Whether a client may connect; root and the controller's own user by default. */
  authorize?: (peer: Peer) => boolean;
  /** Clients at once; 64 by default. */
  maxClients?: number;
}

/** Root and our own user may control what runs here. */
export function rootOrSelf(peer: Peer): boolean {
  return peer.uid === 0 || peer.uid === process.geteuid?.();
}

/** The pid behind an abstract address, where one listens. */
export function listenerPid(address: string): number | undefined {
  const probe = new Socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    return probe.connect(abstractAddress(address)) === 0 ? peerCredentials(probe.fd).pid : undefined;
  } finally {
    probe.close();
  }
}

/** The controller's side of the control socket. */
export class RpcServer {
  readonly #server: Server;
  readonly #backend: Backend;
  readonly #options: RpcServerOptions;
  readonly #connections = new Map<NetSocket, Connection>();

  private constructor(server: Server, backend: Backend, options: RpcServerOptions) {
    this.#server = server;
    this.#backend = backend;
    this.#options = options;
    server.maxConnections = options.maxClients ?? 64;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /**
   * Listens on the abstract unix address of the calling thread's network namespace. Throws XDPCTL_E_CONTROLLER_RUNS,
   * with its pid where it can be had, when someone listens there already.
   */
  static async listen(
    address: string = CONTROL_ADDRESS,
    backend: Backend,
    options: RpcServerOptions = {},
  ): Promise<RpcServer> {
    const socket = new Socket(AF_UNIX, SOCK_STREAM, 0);
    const result = socket.bind(abstractAddress(address));
    if (result < 0) {
      socket.close();
      if (result !== -errno.EADDRINUSE) throw syscallError("binding the control socket", -result);
      const pid = listenerPid(address);
      const who = pid === undefined ? "" : ` (pid ${pid})`;
      throw new XdpctlError("XDPCTL_E_CONTROLLER_RUNS", `a controller runs in this network namespace already${who}`, {
        errno: -result,
      });
    }
    const server = createServer({ allowHalfOpen: false });
    const started = new RpcServer(server, backend, options);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd: socket.release() }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    return started;
  }

  /** How many clients are connected. */
  get clients(): number {
    return this.#connections.size;
  }

  /** Stream items that the clients of now missed because they did not read. */
  get dropped(): number {
    let sum = 0;
    for (const connection of this.#connections.values()) sum += connection.dropped;
    return sum;
  }

  /** The most that waits for one client, in characters. */
  get queued(): number {
    let most = 0;
    for (const connection of this.#connections.values()) most = Math.max(most, connection.queued);
    return most;
  }

  /** Ends all connections and frees the address. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections.values()) connection.end();
    await closed;
  }

  #accept(socket: NetSocket): void {
    // Node keeps the descriptor to itself, and the kernel tells a peer's identity by descriptor alone.
    const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
    let peer: Peer;
    try {
      peer = peerCredentials(fd);
    } catch {
      socket.destroy();
      return;
    }
    if (!(this.#options.authorize ?? rootOrSelf)(peer)) {
      const error = new XdpctlError("XDPCTL_E_PERMISSION", `the controller refuses uid ${peer.uid}`, {
        remedy: "run it as root, or as the user who runs the controller",
      });
      socket.on("error", () => socket.destroy());
      socket.end(`${JSON.stringify({ id: 0, error })}\n`);
      socket.resume();
      return;
    }
    const connection = new Connection(socket, this.#backend, `pid ${peer.pid}`, this.#options);
    this.#connections.set(socket, connection);
    socket.on("close", () => this.#connections.delete(socket));
  }
}
