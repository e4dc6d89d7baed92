// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import type { Accelerator } from "./accel.js";
import { PORT_NAME } from "./frames.js";

/** A part of a machine: its words on QEMU's command line, and on the kernel's. */
export interface Device {
  readonly qemu: readonly string[];
  readonly kernel?: readonly string[];
}

/** A comma ends a value on QEMU's command line, unless it is doubled. */
export function escaped(value: string): string {
  return value.replaceAll(",", ",,");
}

/** The program of this architecture. Throws XDPCTL_E_VM_TOOL. */
export function findQemu(name = `qemu-system-${ARCHITECTURES[process.arch] ?? process.arch}`): string {
  if (name.includes("/")) {
    if (existsSync(name)) return name;
  } else {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      if (folder !== "" && existsSync(join(folder, name))) return join(folder, name);
    }
  }
  throw new XdpctlError("XDPCTL_E_VM_TOOL", `${name} is not installed`, {
    remedy: "install the Debian package qemu-system-x86 (and qemu-system-common)",
  });
}

const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: "x86_64", arm64: "aarch64" };

export interface BoardOptions {
  readonly accelerator: Accelerator;
  readonly cpus: number;
  /** MiB */
  readonly memory: number;
}

/**
 * All that TCG has but CMPXCHG16B: QEMU 7.2 leaves garbage in the flags register where flags were not yet worked out before it,
 * which some builds of Debian's 6.12 hit in their allocator (double fault). Kernels do without it.
 */
const TCG_CPU = "max,-cx16";

/** Processor, memory, and nothing else: whatever the machine has is named here. */
export function board({ accelerator, cpus, memory }: BoardOptions): Device {
  // A thread for each processor runs, once in a while, a breakpoint that the kernel has taken back already: patching its own code
  // (static keys, the dispatcher of XDP) then ends in a panic. In one thread the processors take turns.
  const accel = accelerator.name === "kvm" ? "kvm" : "tcg,thread=single";
  return {
    qemu: [
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-machine", "q35,memory-backend=ram", "-accel", accel],
      ...["-cpu", accelerator.name === "kvm" ? "host" : TCG_CPU, "-smp", String(cpus), "-m", String(memory)],
      // Shared with virtiofsd.
      ...["-object", `memory-backend-memfd,id=ram,size=${memory}M,share=on`],
    ],
    kernel: ["nokaslr", "random.trust_cpu=on", ...(accelerator.name === "tcg" ? TCG : [])],
  };
}

/**
 * What costs time under emulation, and protects or tests nothing there. TCG keeps translated code by its virtual address:
 * with programs at random addresses, each start of one translates the dynamic linker and the libraries anew, which
 * takes twice as long as all the rest.
 */
const TCG = ["mitigations=off", "tsc=reliable", "cryptomgr.notests", "no_timer_check", "norandmaps", "no5lvl"];

/** The kernel, and its first file system. A panic ends the machine. */
export function kernelImage(image: string, initrd: string): Device {
  return { qemu: ["-kernel", image, "-initrd", initrd], kernel: ["panic=-1"] };
}

/** The first serial line, where the kernel says what it says: kept in a file, and open to whoever connects. */
export function serialConsole(log: string, socket?: string): Device {
  const backend =
    socket === undefined
      ? `file,id=console,path=${escaped(log)}`
      : `socket,id=console,path=${escaped(socket)},server=on,wait=off,logfile=${escaped(log)}`;
  return { qemu: ["-chardev", backend, "-serial", "chardev:console"], kernel: ["console=ttyS0"] };
}

/** A terminal of its own, /dev/hvc0, on which the kernel says nothing. */
export function secondConsole(socket: string): Device {
  return {
    qemu: [
      ...["-chardev", `socket,id=console1,path=${escaped(socket)},server=on,wait=off`],
      ...["-device", "virtio-serial-pci,id=consoles", "-device", "virtconsole,bus=consoles.0,chardev=console1"],
    ],
  };
}

/** The agent's port, at a descriptor that QEMU inherits: a connected unix socket. */
export function agentPort(fd: number): Device {
  return {
    qemu: [
      ...["-chardev", `socket,id=agent,fd=${fd}`],
      ...["-device", "virtio-serial-pci", "-device", `virtserialport,chardev=agent,name=${PORT_NAME}`],
    ],
  };
}

/** A port of its own, by name, whose other end is a unix socket. */
export function port(name: string, socket: string): Device {
  const id = name.replaceAll(".", "-");
  return {
    qemu: [
      ...["-chardev", `socket,id=${id},path=${escaped(socket)},server=on,wait=off`],
      ...["-device", `virtio-serial-pci,id=${id}-bus`],
      ...["-device", `virtserialport,bus=${id}-bus.0,chardev=${id},name=${name}`],
    ],
  };
}

/** A folder that a virtiofsd serves. */
export function sharedFolder(tag: string, socket: string): Device {
  return {
    qemu: [
      ...["-chardev", `socket,id=fs-${tag},path=${escaped(socket)}`],
      ...["-device", `vhost-user-fs-pci,chardev=fs-${tag},tag=${tag},queue-size=1024`],
    ],
  };
}

/** A folder that QEMU itself serves, by 9p. */
export function plan9Folder(tag: string, path: string, writable: boolean): Device {
  const words = [`local,id=fs-${tag}`, `path=${escaped(path)}`, "security_model=none", "multidevs=remap"];
  if (!writable) words.push("readonly=on");
  return { qemu: ["-fsdev", words.join(","), "-device", `virtio-9p-pci,fsdev=fs-${tag},mount_tag=${tag}`] };
}

/** QEMU's monitor for people, and QMP for programs, at unix sockets. */
export function monitors(socket: string, qmp: string): Device {
  return {
    qemu: [
      ...["-chardev", `socket,id=monitor,path=${escaped(socket)},server=on,wait=off`],
      ...["-mon", "chardev=monitor,mode=readline"],
      ...["-qmp", `unix:${escaped(qmp)},server=on,wait=off`],
    ],
  };
}

/** A raw disk image or block device; /dev/vda, /dev/vdb … in the order given. */
export function disk(file: string, index: number): Device {
  return {
    qemu: [
      ...["-blockdev", `driver=file,node-name=file${index},filename=${escaped(file)}`],
      ...["-blockdev", `driver=raw,node-name=disk${index},file=file${index}`],
      ...["-device", `virtio-blk-pci,drive=disk${index}`],
    ],
  };
}

/** A gdb server at a unix socket. */
export function gdbServer(socket: string): Device {
  return { qemu: ["-gdb", `unix:${escaped(socket)},server=on,wait=off`] };
}

/** QMP of our own at a unix socket. */
export function statusServer(socket: string): Device {
  return { qemu: ["-qmp", `unix:${escaped(socket)},server=on,wait=off`] };
}

/** A guest that no longer feeds it is ended. */
export function watchdog(): Device {
  return { qemu: ["-device", "i6300esb", "-action", "watchdog=poweroff"] };
}

/** The whole command line, and the kernel's within it. */
export function commandLine(program: string, devices: readonly Device[], kernelWords: readonly string[]): string[] {
  const words = [...devices.flatMap((device) => device.kernel ?? []), ...kernelWords];
  return [program, ...devices.flatMap((device) => device.qemu), "-append", words.join(" ")];
}
