// SPDX-License-Identifier: MIT
import { closeSync, openSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { hasCapability } from "../linux/index.js";
import type { Accelerator } from "./accel.js";
import type { GuestHello } from "./agent.js";
import { ConsoleLog } from "./console.js";
import type { GuestCommand, GuestCommandOptions, GuestExit } from "./guest-command.js";
import { type GuestOptions, guestModules, mayBeHeld, plan, BOOT_WORDS, WATCH_SOCKET } from "./guest-plan.js";
import { openFilesLimit, resolvTarget } from "./host.js";
import { VirtualMachine } from "./machine.js";
import { type Networks, networkId } from "./network.js";
import { findQemu } from "./qemu.js";
import { AGENT_IN_GUEST, clearedFile, rootSteps } from "./root-steps.js";
import { isHeld, setLink } from "./qmp.js";
import type { RootKind } from "./root-kind.js";
import { RunDir } from "./run-dir.js";
import { Share } from "./share.js";

/** A guest that feeds its watchdog for so long no more is ended. */
const WATCHDOG_SECONDS = 10;

/** So long is a DHCP server waited for. */
const DHCP_SECONDS = 10;
/** A guest with so many files for its root never has to forget one. */
const ENOUGH_FILES = 500_000;
const SILENCE_MS = 30_000;
/** The same at boot for a guest under a KVM that may not work: under one that does, it has booted by then. */
const UNPROVEN_SILENCE_MS = 5000;
const QEMU_ENDS_MS = 500;
/** For what is still to be written to disks and to the host's files. */
const WRITING_MS = 60_000;
const LEAVING_MS = 3000;

/** A guest that runs a kernel on top of this machine's files. */
export class Guest implements AsyncDisposable {
  /** Where it is not given. */
  readonly #own: RunDir | undefined;
  readonly #root: RootKind;
  readonly #shared: RootKind | undefined;
  readonly #shares: Share[];
  readonly #log: number;
  readonly machine: VirtualMachine;
  readonly accelerator: Accelerator;
  readonly options: GuestOptions;
  readonly console: ConsoleLog;

  private constructor(options: GuestOptions) {
    this.options = options;
    if (!this.layered && (options.overlays?.length ?? 0) > 0) {
      throw new XdpctlError("XDPCTL_E_PERMISSION", "a layer that takes writes needs CAP_SYS_ADMIN (or root)", {
        remedy: "`--clear-dir` gives an empty folder, and `--rw` one that is really written to",
      });
    }
    const qemu = findQemu(options.qemu);
    this.#own = options.dir === undefined ? new RunDir() : undefined;
    const dir = options.dir ?? (this.#own as RunDir).path;
    this.#shares = [];
    let made: Networks | undefined;
    this.#log = openSync(join(dir, "qemu.log"), "a");
    try {
      const { root, shared, devices, shares, qemuWrites, accelerator, networks } = plan(options, dir);
      made = networks;
      this.#root = root;
      this.#shared = shared;
      this.accelerator = accelerator;
      this.console = new ConsoleLog(join(dir, "console.log"));
      const { unmounted = [] } = options;
      for (const share of shares) this.#shares.push(new Share({ ...share, log: this.#log, unmounted }));
      this.machine = new VirtualMachine({
        qemu,
        devices,
        kernelWords: [...BOOT_WORDS, ...(options.kernelWords ?? [])],
        console: this.console,
        log: this.#log,
        writable: qemuWrites,
        // Not the mount that its own files are in.
        unmounted: unmounted.filter((path) => !dir.startsWith(`${path}/`)),
        fds: networks.fds,
        ...(mayBeHeld(options) ? { held: () => isHeld(join(dir, WATCH_SOCKET)) } : {}),
        readLog: () => readFileSync(join(dir, "qemu.log"), "utf8"),
      });
    } catch (error) {
      this.#release();
      throw error;
    } finally {
      // QEMU has its own copies by now.
      made?.close();
    }
    if (options.onKmsg !== undefined) this.machine.agent.on("kmsg", options.onKmsg);
    this.#trouble = new Promise((_, reject) => {
      for (const share of this.#shares) {
        void share.ended.then(async ({ code, signal }) => {
          // When QEMU ends, virtiofsd ends with it, and is often known to have ended first.
          if (this.#released || (await this.machine.endsWithin(QEMU_ENDS_MS))) return;
          const how = signal === null ? `with status ${code}` : `by ${signal}`;
          const text = `virtiofsd, which serves the guest's files, ended ${how}`;
          reject(this.machine.failure("XDPCTL_E_VM_DIED", text));
          this.machine.kill();
        });
      }
      const silence = options.silenceMs ?? SILENCE_MS;
      const hangs = (): void => {
        const text = `the guest hangs: nothing was heard of it for ${(silence / 1000).toFixed(0)} s`;
        const error = this.machine.failure("XDPCTL_E_VM_HANG", text);
        options.onHang?.(error);
        if (options.onHang !== undefined) return;
        reject(error);
        this.machine.kill();
      };
      const heard = (): void => options.onHang?.(undefined);
      void this.machine.agent.hello.then(
        () => {
          this.#unwatch = this.machine.watch(silence, { silent: hangs, heard });
        },
        () => undefined,
      );
    });
    this.#trouble.catch(() => undefined);
  }

  /** Rejects when the guest hangs, or has lost its files. */
  readonly #trouble: Promise<never>;
  #unwatch: (() => void) | undefined;

  /** Waits for `work`, unless the guest hangs or has lost its files. Errors: XDPCTL_E_VM_HANG, XDPCTL_E_VM_DIED. */
  whileItLives<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#trouble]);
  }

  /** Starts the machine; `ready` waits for it. Errors: XDPCTL_E_VM_TOOL, XDPCTL_E_SYSCALL. */
  static start(options: GuestOptions): Guest {
    return new Guest(options);
  }

  /**
   * Waits until the guest is booted and has its root and networks.
   * Errors: XDPCTL_E_VM_PANIC, XDPCTL_E_VM_HANG, XDPCTL_E_VM_DIED, XDPCTL_E_VM_SETUP.
   */
  ready(): Promise<GuestHello> {
    return this.whileItLives(this.#prepare());
  }

  async #prepare(): Promise<GuestHello> {
    const { options, machine } = this;
    const { agent } = machine;
    const unproven = this.accelerator.unproven === true;
    const hello = await machine.booted(options.silenceMs ?? (unproven ? UNPROVEN_SILENCE_MS : SILENCE_MS));
    this.#booted = true;
    if (options.onKmsg !== undefined) await agent.operation("kmsg");
    await agent.operations(guestModules(options).map((path) => ["module", path, ""]));
    const user = (options.networks ?? []).some(({ kind }) => kind === "user");
    await agent.operations(
      rootSteps({
        tag: "root",
        type: this.#root,
        shared: this.#shared,
        image: options.root !== undefined,
        layered: this.layered,
        cwd: options.cwd ?? "/",
        visible: options.visible ?? [],
        // What is written to an image is thrown away: nothing of it has to be kept from the guest.
        overlays: options.root === undefined ? (options.overlays ?? []) : ["/"],
        writable: (options.writable ?? []).map((path, i) => ({ path, tag: `rw${i}` })),
        clearDirs: (options.clearDirs ?? []).map(clearedFile),
        clearFiles: (options.clearFiles ?? []).map(clearedFile),
        modules: options.kernel.modules,
        version: hello.kernel,
        hostName: options.hostName ?? hostname(),
        ...(user ? { resolv: options.root === undefined ? resolvTarget() : "/etc/resolv.conf" } : {}),
      }),
    );
    const files = openFilesLimit();
    if (this.#shared === "virtiofs" && files < ENOUGH_FILES)
      await agent.operation("files", String(Math.floor(files * 0.7)));
    if (options.watchdog === true) await agent.operation("watchdog", String(WATCHDOG_SECONDS));
    await agent.operations((options.moduleFiles ?? []).map((file) => ["module", file, ""]));
    const asked = (options.networks ?? []).flatMap((one, i) =>
      one.kind === "bridge" && one.dhcp === false ? [] : [`eth${i}`],
    );
    this.leases = await Promise.all(asked.map((name) => this.#lease(name)));
    return hello;
  }

  /** What each NIC got by DHCP, or why it got nothing; a guest without an address runs nevertheless. */
  leases: readonly string[] = [];

  async #lease(name: string): Promise<string> {
    await this.machine.agent.operation("up", name);
    const command = this.exec({ argv: [AGENT_IN_GUEST, "dhcp", name, String(DHCP_SECONDS)] });
    let text = "";
    for (const stream of [command.stdout, command.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        text += bytes.toString();
      });
    }
    await command.exit;
    return `${name}: ${text
      .trim()
      .replace(/^xdpctl-agent: /, "")
      .replaceAll("\n", ", ")}`;
  }

  /** How its root is served, and by what. */
  get shared(): string {
    if (this.#root === "initramfs") return "in its memory";
    if (this.#root === "9p") return "over 9p (QEMU)";
    return this.#shares[0]?.daemon.kind === "c" ? "over virtiofs (QEMU's virtiofsd)" : "over virtiofs (virtiofsd)";
  }

  /** Whether the guest has a layer over the host's files that takes writes. */
  get layered(): boolean {
    // The files of an image are this user's, who may open them as the layer does.
    return hasCapability("CAP_SYS_ADMIN") || this.options.root !== undefined;
  }

  /** How the host's files are kept from the guest. */
  get protection(): string {
    if (this.#root === "initramfs") return "unpacked from its initramfs";
    const place = hasCapability("CAP_SYS_ADMIN") ? "a mount namespace" : "a user and a mount namespace";
    return `read-only in ${place} of its own`;
  }

  /** The error for a guest whose time is over. */
  timedOut(seconds: number): XdpctlError {
    const what = this.#booted ? "the command did not end" : "the guest had not booted";
    return this.machine.failure("XDPCTL_E_VM_TIMEOUT", `${what} within ${seconds} s`);
  }

  #booted = false;

  exec(options: GuestCommandOptions): GuestCommand {
    return this.machine.agent.exec(options);
  }

  /** Waits for a sign of life: a step of the agent that changes nothing. Throws XDPCTL_E_VM_DIED. */
  alive(): Promise<void> {
    return this.machine.agent.operation("up", "lo");
  }

  /** Gives a NIC its carrier, or takes it: that of `networks[i]`. */
  async setCarrier(i: number, carrier: boolean): Promise<void> {
    const dir = this.options.dir;
    if (dir !== undefined && mayBeHeld(this.options)) await setLink(join(dir, WATCH_SOCKET), networkId(i), carrier);
  }

  /** What is known when a command's end is not: the guest is gone, and this says how. */
  async lost(error?: unknown): Promise<XdpctlError> {
    // That it hangs, or has lost its files, is known already.
    if (XdpctlError.is(error, "XDPCTL_E_VM_HANG")) return error;
    if (XdpctlError.is(error, "XDPCTL_E_VM_DIED") && error.message.includes("virtiofsd")) return error;
    await Promise.race([this.machine.ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
    const watched = this.options.watchdog === true ? ": its watchdog ends it when its kernel hangs" : "";
    const death = this.machine.death(`while the command ran${watched}`);
    if (death.code === "XDPCTL_E_VM_PANIC") return death;
    return XdpctlError.from({ ...death.toJSON(), code: "XDPCTL_E_VM_NO_STATUS", remedy: "run it again" });
  }

  /** Where gdb connects to. */
  get gdbSocket(): string {
    return join(this.options.dir ?? (this.#own as RunDir).path, this.options.gdb ?? "");
  }

  /**
   * Whether a boot failed by the emulation's fault: now and then one emulated processor runs code that another is just
   * patching, and the kernel, which patches itself while it boots, gives up. The same boot succeeds the next time.
   */
  tornBoot(error: unknown): boolean {
    const torn = XdpctlError.is(error, "XDPCTL_E_VM_PANIC") && error.message.includes("Fatal exception");
    return torn && !this.#booted && this.accelerator.name === "tcg" && (this.options.cpus ?? 2) > 1;
  }

  /** Powers it off and waits. */
  async stop(): Promise<void> {
    const writes = (this.options.disks?.length ?? 0) + (this.options.writable?.length ?? 0) > 0;
    await this.machine.stop(writes ? WRITING_MS : LEAVING_MS);
    this.#release();
  }

  #released = false;

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#unwatch?.();
    for (const share of this.#shares) share.close();
    closeSync(this.#log);
    this.#own?.[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    this.#release();
  }
}

export type { GuestExit };
