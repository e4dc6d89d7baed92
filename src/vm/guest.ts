// SPDX-License-Identifier: MIT
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { type Accelerator, accelerator } from "./accel.js";
import type { GuestHello } from "./agent.js";
import { hasCapability } from "../linux/index.js";
import { cacheDir } from "./cache.js";
import { ConsoleLog } from "./console.js";
import type { GuestCommand, GuestCommandOptions, GuestExit } from "./guest-command.js";
import { initramfs } from "./initramfs.js";
import type { Kernel } from "./record.js";
import { FIRST_FREE_FD, machineCommand, VirtualMachine } from "./machine.js";
import { type GuestNetwork, Networks } from "./network.js";
import {
  board,
  type Device,
  disk,
  findQemu,
  gdbServer,
  kernelImage,
  serialConsole,
  sharedFolder,
  watchdog,
} from "./qemu.js";
import { AGENT_IN_GUEST, rootSteps } from "./root-steps.js";
import { RunDir } from "./run-dir.js";
import { Share } from "./share.js";

export interface GuestOptions {
  readonly kernel: Kernel;
  readonly overlays?: readonly string[];
  /** Folders that are really written to. */
  readonly writable?: readonly string[];
  readonly clearDirs?: readonly string[];
  readonly clearFiles?: readonly string[];
  readonly networks?: readonly GuestNetwork[];
  readonly disks?: readonly string[];
  /** MiB; 1024 by default. */
  readonly memory?: number;
  /** Where the command will run. */
  readonly cwd?: string;
  /** 2 by default. */
  readonly cpus?: number;
  readonly kernelWords?: readonly string[];
  /** Modules of the kernel that are loaded at once, by name. */
  readonly modules?: readonly string[];
  /** Module files that are loaded when the root is there. */
  readonly moduleFiles?: readonly string[];
  /** Path of a unix socket for gdb. */
  readonly gdb?: string;
  readonly watchdog?: boolean;
  readonly accelerator?: Accelerator;
  readonly qemu?: string;
  /** Milliseconds without a sign of life until a boot is given up; 30,000 by default. */
  readonly silenceMs?: number;
  /** Records of the guest's kernel log. */
  readonly onKmsg?: (record: string) => void;
}

/** The first file system of guests, made once for each kernel and agent. */
function initrdFile(kernel: Kernel, options: GuestOptions, dir: string): string {
  const { key, build } = initramfs(kernel, {
    network: (options.networks?.length ?? 0) > 0,
    modules: [
      ...((options.disks?.length ?? 0) > 0 ? ["virtio_blk"] : []),
      ...(options.watchdog === true ? ["i6300esb"] : []),
      ...(options.modules ?? []),
    ],
  });
  const path = join(cacheDir(), "initramfs", `${key}.cpio`);
  if (existsSync(path)) return path;
  const contents = build();
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.${process.pid}`, contents);
    renameSync(`${path}.${process.pid}`, path);
    return path;
  } catch {
    // A cache that is somebody else's, or full: then it is made for this guest alone.
    const own = join(dir, "initramfs.cpio");
    if (dir !== NOWHERE) writeFileSync(own, contents);
    return own;
  }
}

interface Plan {
  readonly devices: Device[];
  readonly shares: { tag: string; path: string; writable: boolean; socket: string }[];
  readonly accelerator: Accelerator;
  readonly networks: Networks;
}

function plan(options: GuestOptions, dir: string): Plan {
  const accel = options.accelerator ?? accelerator();
  const cpus = options.cpus ?? 2;
  const networks = new Networks(options.networks ?? [], cpus, FIRST_FREE_FD, dir === NOWHERE);
  const shares = [{ tag: "root", path: "/", writable: false, socket: join(dir, "root.sock") }];
  for (const [i, path] of (options.writable ?? []).entries())
    shares.push({ tag: `rw${i}`, path, writable: true, socket: join(dir, `rw${i}.sock`) });
  const devices: Device[] = [
    board({ accelerator: accel, cpus, memory: options.memory ?? 1024 }),
    kernelImage(options.kernel.image, initrdFile(options.kernel, options, dir)),
    serialConsole(join(dir, "console.log")),
    ...shares.map(({ tag, socket }) => sharedFolder(tag, socket)),
    ...networks.devices,
    ...(options.disks ?? []).map(disk),
    ...(options.gdb === undefined ? [] : [gdbServer(options.gdb)]),
    ...(options.watchdog === true ? [watchdog()] : []),
  ];
  return { devices, shares, accelerator: accel, networks };
}

/** Stands for the directory of a guest that is not started. */
const NOWHERE = "RUN";

/** A guest that feeds its watchdog for so long no more is ended. */
const WATCHDOG_SECONDS = 10;

/** So long is a DHCP server waited for. */
const DHCP_SECONDS = 10;

const QUIET = ["quiet"];

/** The command line of QEMU for a guest, without starting anything. */
export function guestCommand(options: GuestOptions): string[] {
  const { devices } = plan(options, NOWHERE);
  const kernelWords = [...QUIET, ...(options.kernelWords ?? [])];
  return machineCommand({ qemu: findQemu(options.qemu), devices, kernelWords });
}

/** A guest that runs a kernel on top of this machine's files. */
export class Guest implements AsyncDisposable {
  readonly #dir: RunDir;
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
    this.#dir = new RunDir();
    this.#shares = [];
    let made: Networks | undefined;
    this.#log = openSync(this.#dir.file("log"), "a");
    try {
      const { devices, shares, accelerator, networks } = plan(options, this.#dir.path);
      made = networks;
      this.accelerator = accelerator;
      this.console = new ConsoleLog(this.#dir.file("console.log"));
      for (const share of shares) this.#shares.push(new Share({ ...share, log: this.#log }));
      this.machine = new VirtualMachine({
        qemu,
        devices,
        kernelWords: [...QUIET, ...(options.kernelWords ?? [])],
        console: this.console,
        log: this.#log,
        fds: networks.fds,
        readLog: () => readFileSync(this.#dir.file("log"), "utf8"),
      });
    } catch (error) {
      this.#release();
      throw error;
    } finally {
      // QEMU has its own copies by now.
      made?.close();
    }
    if (options.onKmsg !== undefined) this.machine.agent.on("kmsg", options.onKmsg);
  }

  /** Starts the machine; `ready` waits for it. Errors: XDPCTL_E_VM_TOOL, XDPCTL_E_SYSCALL. */
  static start(options: GuestOptions): Guest {
    return new Guest(options);
  }

  /**
   * Waits until the guest is booted and has its root and networks.
   * Errors: XDPCTL_E_VM_PANIC, XDPCTL_E_VM_HANG, XDPCTL_E_VM_DIED, XDPCTL_E_VM_SETUP.
   */
  async ready(): Promise<GuestHello> {
    const { options, machine } = this;
    const { agent } = machine;
    const hello = await machine.booted(options.silenceMs ?? 30_000);
    const user = (options.networks ?? []).some(({ kind }) => kind === "user");
    await agent.operations(
      rootSteps({
        tag: "root",
        type: "virtiofs",
        layered: this.layered,
        cwd: options.cwd ?? "/",
        overlays: options.overlays ?? [],
        writable: (options.writable ?? []).map((path, i) => ({ path, tag: `rw${i}` })),
        clearDirs: options.clearDirs ?? [],
        clearFiles: options.clearFiles ?? [],
        // Without a layer there must be a folder to mount them at.
        modules: this.layered || existsSync("/usr/lib/modules") ? options.kernel.modules : undefined,
        version: hello.kernel,
        hostName: hostname(),
        ...(user ? { resolv: "nameserver 10.0.2.3\n" } : {}),
      }),
    );
    if (options.watchdog === true) await agent.operation("watchdog", String(WATCHDOG_SECONDS));
    await agent.operations((options.moduleFiles ?? []).map((file) => ["module", file, ""]));
    this.leases = await Promise.all((options.networks ?? []).map((_, i) => this.#lease(`eth${i}`)));
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

  /** Which virtiofsd serves the root. */
  get shared(): string {
    return this.#shares[0]?.daemon.kind === "c" ? "QEMU's virtiofsd" : "virtiofsd";
  }

  /** Whether the guest has a layer over the host's files that takes writes. */
  get layered(): boolean {
    return hasCapability("CAP_SYS_ADMIN");
  }

  /** How the host's files are kept from the guest. */
  get protection(): string {
    const place = hasCapability("CAP_SYS_ADMIN") ? "a mount namespace" : "a user and a mount namespace";
    return `read-only in ${place} of its own`;
  }

  /** The error for a guest whose time is over. */
  timedOut(seconds: number): XdpctlError {
    return this.machine.failure("XDPCTL_E_VM_TIMEOUT", `the command did not end within ${seconds} s`);
  }

  exec(options: GuestCommandOptions): GuestCommand {
    return this.machine.agent.exec(options);
  }

  /** What is known when a command's end is not: the guest is gone, and this says how. */
  async lost(): Promise<XdpctlError> {
    await Promise.race([this.machine.ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
    const watched = this.options.watchdog === true ? ": its watchdog ends it when its kernel hangs" : "";
    const death = this.machine.death(`while the command ran${watched}`);
    if (death.code === "XDPCTL_E_VM_PANIC") return death;
    return XdpctlError.from({ ...death.toJSON(), code: "XDPCTL_E_VM_NO_STATUS" });
  }

  /** Powers it off and waits. */
  async stop(): Promise<void> {
    await this.machine.stop();
    this.#release();
  }

  #released = false;

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const share of this.#shares) share.close();
    closeSync(this.#log);
    this.#dir[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    this.#release();
  }
}

export type { GuestExit };
