// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { type ErrorCode, XdpctlError } from "../errors/index.js";
import { hasCapability } from "../linux/index.js";
import { Agent, type GuestHello } from "./agent.js";
import { launchPath } from "./agent-path.js";
import { type ConsoleLog, panicLine } from "./console.js";
import { agentPort, commandLine, type Device } from "./qemu.js";

/** Lines of the console that an error shows. */
const TAIL_LINES = 12;
const POLL_MS = 250;
const PING_MS = 1000;
/** The descriptor of the agent's port in QEMU: what Node passes fourth. */
const PORT_FD = 3;
/** What else QEMU inherits comes after it. */
export const FIRST_FREE_FD = PORT_FD + 1;

export interface MachineOptions {
  readonly qemu: string;
  readonly devices: readonly Device[];
  readonly kernelWords: readonly string[];
  readonly console: ConsoleLog;
  /**
   * QEMU may write to these files and folders only, and sees nothing of the mounts below `unmounted`; where it is undefined it
   * runs as any program does.
   */
  readonly writable?: readonly string[] | undefined;
  readonly unmounted?: readonly string[];
  /** Where QEMU's own messages go: a descriptor. */
  readonly log: number;
  /** Further descriptors that QEMU inherits, from FIRST_FREE_FD on. */
  readonly fds?: readonly number[];
  /** Whether somebody holds the machine: then it is silent because it shall be. */
  readonly held?: () => Promise<boolean>;
  /** Reads what was logged, for errors. */
  readonly readLog: () => string;
}

/** QEMU's command line as `start` would run it. */
export function machineCommand(options: Pick<MachineOptions, "qemu" | "devices" | "kernelWords">): string[] {
  return commandLine(options.qemu, [...options.devices, agentPort(PORT_FD)], options.kernelWords);
}

/** A virtual machine that runs, and ends with this process. */
export class VirtualMachine implements AsyncDisposable {
  readonly #options: MachineOptions;
  readonly #child: ChildProcess;
  readonly agent: Agent;
  /** When QEMU has ended. */
  readonly ended: Promise<void>;
  #over = false;
  #code: number | null = null;

  constructor(options: MachineOptions) {
    this.#options = options;
    const argv = machineCommand(options);
    const launch = ["--parent", String(process.pid)];
    if (options.writable !== undefined) {
      if (!hasCapability("CAP_SYS_ADMIN")) launch.push("--user");
      launch.push("--read-only", ...options.writable.flatMap((path) => ["--writable", path]));
      for (const path of options.unmounted ?? []) launch.push("--unmount", path);
    }
    this.#child = spawn(launchPath(), [...launch, "--", ...argv], {
      stdio: ["ignore", options.log, options.log, "pipe", ...(options.fds ?? [])],
      // Ctrl-C on a terminal is for the command in the guest, not for the guest.
      detached: true,
    });
    this.agent = new Agent(this.#child.stdio[PORT_FD] as Duplex);
    this.ended = new Promise((resolve) => {
      const end = (code: number | null): void => {
        this.#over = true;
        this.#code = code;
        resolve();
      };
      this.#child.once("error", () => end(127));
      this.#child.once("exit", end);
    });
  }

  /** Whether QEMU has ended. */
  get over(): boolean {
    return this.#over;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Waits until the agent has started. A guest that shows no sign of life for `silenceMs` hangs: as long as its console
   * says something, it boots, however slowly.
   * Errors: XDPCTL_E_VM_PANIC, XDPCTL_E_VM_HANG, XDPCTL_E_VM_DIED.
   */
  async booted(silenceMs: number): Promise<GuestHello> {
    let stop = (): void => {};
    const hangs = new Promise<never>((_, reject) => {
      const silent = (): void => {
        const text = `the guest hangs at boot: nothing was heard of it for ${(silenceMs / 1000).toFixed(0)} s`;
        reject(this.failure("XDPCTL_E_VM_HANG", text));
      };
      stop = this.watch(silenceMs, { silent });
    });
    try {
      return await Promise.race([
        this.agent.hello,
        hangs,
        this.ended.then((): never => {
          throw this.death("before its agent started");
        }),
      ]);
    } catch (error) {
      // The connection ends a moment before the process does, which knows more.
      if (XdpctlError.is(error, "XDPCTL_E_VM_DIED") && !this.#over) {
        await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
        throw this.death("before its agent started");
      }
      throw error;
    } finally {
      stop();
    }
  }

  /**
   * Calls `silent` when nothing was heard of the guest for `silenceMs`: nothing on its console, no answer of its agent, which
   * is asked again and again; and `heard` when something is, after all. Time in which this process itself stood still does not
   * count, nor does that in which somebody holds the machine. Returns what ends the watch.
   */
  watch(silenceMs: number, { silent, heard = () => {} }: { silent: () => void; heard?: () => void }): () => void {
    const { console, held } = this.#options;
    let last = "";
    let quiet = 0;
    let told = false;
    const look = (): void => {
      const now = `${console.size} ${this.agent.heard}`;
      if (now !== last) {
        last = now;
        quiet = 0;
        if (told) heard();
        told = false;
      } else quiet += POLL_MS;
      if (quiet % PING_MS === 0) this.agent.ping();
      if (quiet <= silenceMs || told) return;
      told = true;
      void (held?.() ?? Promise.resolve(false)).then((isHeld) => {
        if (!isHeld) silent();
        else {
          told = false;
          quiet = 0;
        }
      });
    };
    const timer = setInterval(look, POLL_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Whether it has ended, or does so within `ms`. */
  async endsWithin(ms: number): Promise<boolean> {
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      late = setTimeout(resolve, ms);
    });
    await Promise.race([this.ended, over]);
    clearTimeout(late);
    return this.#over;
  }

  /** Why the guest is gone: a panic says so on the console. */
  death(when: string): XdpctlError {
    const panic = panicLine(this.#options.console.text());
    if (panic !== undefined) return this.failure("XDPCTL_E_VM_PANIC", `the guest's kernel gave up: ${panic}`);
    // What QEMU says of virtiofsd is a consequence of the end, not its cause.
    const own = this.#options
      .readLog()
      .split("\n")
      .filter((line) => line.trim() !== "" && !/vhost|Failed to set msg fds|virtio_loop/.test(line));
    const why = this.#code === 0 || this.#code === null ? "" : ` (QEMU ended with ${this.#code})`;
    const error = this.failure("XDPCTL_E_VM_DIED", `the guest ended ${when}${why}`);
    return own.length === 0
      ? error
      : XdpctlError.from({ ...error.toJSON(), lines: [...own.slice(-5), ...error.lines] });
  }

  /** A failure with the console's last words. */
  failure(code: ErrorCode, message: string): XdpctlError {
    const lines = this.#options.console.tail(TAIL_LINES);
    return new XdpctlError(code, message, {
      lines: lines.length === 0 ? ["(its console said nothing)"] : lines.map((line) => `console: ${line}`),
    });
  }

  /** Powers the guest off; a guest that does not go within `graceMs` is ended. */
  async stop(graceMs = 3000): Promise<void> {
    this.agent.powerOff();
    const late = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(late);
    this.agent.close();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) this.kill();
    await this.ended;
    this.agent.close();
  }
}
