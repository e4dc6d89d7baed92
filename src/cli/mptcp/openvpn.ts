// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { XdpctlError } from "../../errors/index.js";
import { OpenVpnReader, type OpenVpnReport } from "./openvpn-reader.js";

/** Of what it prints, so much is kept for the message should it fail. */
const KEPT = 4096;
/** Milliseconds in which it closes its tunnel and says goodbye. */
const GOODBYE_MS = 3000;

function listening(listener: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once("error", (cause) => {
      reject(new XdpctlError("XDPCTL_E_SYSCALL", `making the socket ${path}: ${cause.message}`, { cause }));
    });
    listener.listen(path, resolve);
  });
}

/**
 * An OpenVPN process, which is told and asked over its management socket (openvpn's management-notes.txt). When the socket
 * closes it ends, and its interface with it: also after `kill -9` of this process.
 */
export class OpenVpn implements AsyncDisposable {
  /** Resolves to why it ended; to undefined after `close`. */
  readonly ended: Promise<XdpctlError | undefined>;
  readonly #child: ChildProcess;
  readonly #name: string;
  #peer: Socket | undefined;
  #told = "";
  #fatal = "";
  #closing = false;

  private constructor(name: string, listener: Server, args: readonly string[]) {
    this.#name = name;
    const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
    this.#child = spawn("openvpn", args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: path },
      // Ctrl-C is for this process, which ends the VPN when its subflows are gone.
      detached: true,
    });
    const keep = (bytes: Buffer): void => {
      this.#told = (this.#told + bytes.toString("latin1")).slice(-KEPT);
    };
    this.#child.stdout?.on("data", keep);
    this.#child.stderr?.on("data", keep);
    this.ended = new Promise((resolve) => {
      const end = (error: XdpctlError): void => {
        listener.close();
        this.#peer?.destroy();
        resolve(this.#closing ? undefined : error);
      };
      this.#child.once("error", (cause: NodeJS.ErrnoException) => {
        const missing = cause.code === "ENOENT";
        const message = missing ? "openvpn is not installed" : `starting openvpn: ${cause.message}`;
        const remedy = "install the Debian package openvpn";
        end(
          new XdpctlError(missing ? "XDPCTL_E_NO_FILE" : "XDPCTL_E_SYSCALL", message, {
            cause,
            ...(missing ? { remedy } : {}),
          }),
        );
      });
      this.#child.once("close", (code, signal) => end(this.#failure(code, signal)));
    });
  }

  /** Starts it; `report` hears all that it says of itself. `name` is for messages. */
  static async start(
    name: string,
    args: readonly string[],
    report: (report: OpenVpnReport, vpn: OpenVpn) => void,
  ): Promise<OpenVpn> {
    // Nobody else may talk to it, so the socket is where only its owner gets to.
    const folder = mkdtempSync(join(tmpdir(), "xdpctl-vpn-"));
    const path = join(folder, "s");
    const listener = createServer();
    try {
      await listening(listener, path);
      const management = ["--management", path, "unix", "--management-client", "--management-hold"];
      const vpn = new OpenVpn(name, listener, [...args, ...management, "--management-up-down"]);
      const connected = new Promise<Socket>((resolve) => listener.once("connection", resolve));
      const peer = await Promise.race([connected, vpn.ended]);
      if (peer === undefined || peer instanceof XdpctlError) throw peer ?? vpn.#failure(null, null);
      vpn.#listen(peer, report);
      return vpn;
    } finally {
      listener.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #listen(peer: Socket, report: (report: OpenVpnReport, vpn: OpenVpn) => void): void {
    this.#peer = peer;
    const reader = new OpenVpnReader((one) => {
      if (one.kind === "FATAL") this.#fatal = one.words.join(",");
      // From now on it goes ahead by itself, also when it starts anew.
      if (one.kind === "HOLD") this.tell("state on", "hold off", "hold release");
      report(one, this);
    });
    peer.setEncoding("utf8").on("data", (text: string) => reader.read(text));
    peer.on("error", () => {});
  }

  /** Commands of the management interface. */
  tell(...lines: readonly string[]): void {
    this.#peer?.write(lines.map((line) => `${line}\n`).join(""));
  }

  #failure(code: number | null, signal: NodeJS.Signals | null): XdpctlError {
    const told = this.#told.trim().split("\n");
    const refused = /AUTH_FAILED,?(.*)/.exec(this.#told)?.[1];
    if (refused !== undefined) {
      const remedy = "does the other side have the same key, and is --vpn-clear given on both sides or on neither?";
      return new XdpctlError("XDPCTL_E_TOOL", `${this.#name}: the other side refused it: ${refused}`, {
        remedy,
        log: this.#told,
      });
    }
    const last = told.findLast((line) => /error|fatal|cannot/i.test(line)) ?? told.at(-1) ?? "";
    const how = signal === null ? `status ${code}` : signal;
    const reason = this.#fatal || last.replace(/^[\d-]+ [\d:]+ /, "");
    return new XdpctlError("XDPCTL_E_TOOL", `${this.#name}: openvpn ended with ${how}: ${reason}`, { log: this.#told });
  }

  /** Ends it, and waits for that. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#child.kill("SIGTERM");
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), GOODBYE_MS);
    await this.ended;
    clearTimeout(killer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
