// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { AF_UNIX, closeFd, hasCapability, SOCK_STREAM, Socket, syscallError } from "../linux/index.js";
import { launchPath } from "./agent-path.js";

/** A folder of the host that a guest is to see. */
export interface PlannedShare {
  /** The name by which the guest mounts it. */
  readonly tag: string;
  readonly path: string;
  readonly writable: boolean;
}

/** One that virtiofsd serves. */
export interface ShareOptions extends PlannedShare {
  /** Path of the socket between QEMU and virtiofsd; made here. */
  readonly socket: string;
  /** Where virtiofsd's messages go: a descriptor. */
  readonly log: number;
  /** Mounts that it neither sees nor keeps alive. */
  readonly unmounted?: readonly string[];
}

/** QEMU's own virtiofsd (up to QEMU 7.2), and the one in Rust that came after it. */
const C_DAEMONS = ["/usr/lib/qemu/virtiofsd"];
const RUST_DAEMONS = ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/bin/virtiofsd"];

export interface Daemon {
  readonly path: string;
  readonly kind: "c" | "rust";
}

/** The virtiofsd of this machine. */
function findDaemon(): Daemon | undefined {
  const rust = RUST_DAEMONS.find((path) => existsSync(path));
  if (rust !== undefined) return { path: rust, kind: "rust" };
  const c = C_DAEMONS.find((path) => existsSync(path));
  return c === undefined ? undefined : { path: c, kind: "c" };
}

function daemonArguments(daemon: Daemon, path: string, writable: boolean): string[] {
  if (daemon.kind === "c") {
    const source = path.replace(/[,\\]/g, "\\$&");
    return ["--fd=3", "-o", `source=${source},cache=always,sandbox=chroot,xattr,log_level=err`, "--thread-pool-size=1"];
  }
  const flags = ["--fd=3", `--shared-dir=${path}`, "--cache=always", "--xattr", "--no-announce-submounts"];
  // Its own sandbox needs privileges; without them it has no more rights than its user.
  flags.push("--sandbox=none", "--seccomp=none", "--log-level=error");
  return writable ? flags : [...flags, "--readonly"];
}

/** A virtiofsd that serves one folder to one guest, for as long as this process lives. */
export class Share implements Disposable {
  readonly tag: string;
  readonly socket: string;
  readonly daemon: Daemon;
  readonly #child: ChildProcess;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;

  /**
   * Starts it. What is not writable can't be written to: virtiofsd runs where every file system is mounted
   * read-only, so that no guest can talk it into writing. An ordinary user does that in a user namespace. Errors: XDPCTL_E_VM_TOOL, XDPCTL_E_SYSCALL.
   */
  constructor(options: ShareOptions) {
    const daemon = findDaemon();
    if (daemon === undefined) {
      throw new XdpctlError("XDPCTL_E_VM_TOOL", "virtiofsd, which shares files with guests, is not installed", {
        remedy: "install the Debian package qemu-system-common (up to QEMU 7.2) or virtiofsd",
      });
    }
    this.tag = options.tag;
    this.socket = options.socket;
    this.daemon = daemon;
    // The folder's own name may have characters that mean something in virtiofsd's options.
    const place = options.writable ? `${options.socket}.d` : options.path;
    const listener = listenAt(options.socket);
    try {
      const launch = ["--parent", String(process.pid)];
      if (!hasCapability("CAP_SYS_ADMIN")) launch.push("--user");
      launch.push("--read-only");
      if (options.writable) {
        mkdirSync(place, { recursive: true });
        launch.push("--writable", options.path, "--at", place);
      }
      for (const path of options.unmounted ?? []) launch.push("--unmount", path);
      this.#child = spawn(
        launchPath(),
        [...launch, "--", daemon.path, ...daemonArguments(daemon, place, options.writable)],
        {
          stdio: ["ignore", options.log, options.log, listener],
          detached: true,
        },
      );
    } finally {
      closeFd(listener);
    }
    this.ended = new Promise((resolve) => {
      this.#child.once("error", () => resolve({ code: 127, signal: null }));
      this.#child.once("exit", (code, signal) => resolve({ code, signal }));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A listening unix socket; close-on-exec. Its name may have up to 107 bytes. */
function listenAt(path: string): number {
  const bytes = Buffer.from(`${path}\0`);
  if (bytes.length > 108) {
    throw new XdpctlError("XDPCTL_E_VM_SETUP", `the path of a socket has at most 107 bytes: ${path}`, {
      remedy: "choose a shorter directory (XDG_RUNTIME_DIR)",
    });
  }
  const address = Buffer.alloc(2 + bytes.length);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  const socket = new Socket(AF_UNIX, SOCK_STREAM, 0);
  const result = socket.bind(address);
  if (result < 0) {
    socket.close();
    throw syscallError(`making the socket ${path}`, -result);
  }
  socket.listen(1);
  return socket.release();
}
