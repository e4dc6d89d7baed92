// SPDX-License-Identifier: MIT
import { existsSync, realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import type { GuestCommandOptions, GuestNetwork, GuestOptions } from "../../vm/index.js";
import { exampleText, usage } from "../command.js";
import type { Context } from "../context.js";
import { selectLab } from "../lab/select.js";
import { type MatrixRow, table } from "./matrix.js";
import { once } from "./run-guest.js";
import { parseCount, parseDuration } from "../quantities.js";
import { accel, DEFAULT_KERNEL, passed, rootFs, type RunOptions, several, size } from "./run-options.js";

export function registerRun(vm: Command, context: Context): void {
  vm.command("run [command...]")
    .description("boot a kernel on top of this machine's files, run a command there, and end with its exit status")
    .option("-k, --kernel <spec>", "file, version, `host`, debian:SUITE[:FLAVOUR], or a kernel tree")
    .option("--kernels <list>", "run it on each of several kernels, and show a table")
    .option("--root <dir>", "this root (scripts/build-rootfs) instead of this machine's files")
    .option("--root-fs <name>", "virtiofs, 9p, or initramfs with --root: what the kernel has by default", rootFs)
    .option("--overlay <dir>", "let the guest write there, and throw it away (`/`: everywhere)", several)
    .option("--rw <dir>", "let the guest really write there, and nowhere else", several)
    .option("--clear-dir <dir>", "empty and writable in the guest", several)
    .option("--clear-file <file>", "empty and writable in the guest", several)
    .option("--pass-env <name>", "pass only these variables, and HOME TERM PATH SHELL PWD", passed)
    .option(
      "--net <net>",
      "a NIC with DHCP: `user`, `bridge:BRIDGE`, or `lab:[LAB/]BRIDGE`; `,zerocopy` after it",
      several,
    )
    .option("--disk <file>", "a disk: /dev/vda, /dev/vdb …", several)
    .option("--mem <size>", "memory: 1G by default", size)
    .option("--cpus <n>", "2 by default", (text) => parseCount("number of CPUs", text, 1, 255))
    .option("--kopt <words>", "words for the kernel's command line", several)
    .option("--module <module>", "a module to load before the command: a file, or a name", several)
    .option("--gdb", "a gdb server; prints the line that connects gdb to it")
    .option("--watchdog", "end a guest whose kernel no longer feeds its watchdog")
    .option("--console", "show the guest's console on standard error")
    .option("--accel <name>", "auto, kvm, tcg, or kvm,tcg: TCG where no guest starts under KVM", accel)
    .option("--qemu <program>", "another QEMU")
    .option("--timeout <time>", "end it after this time, with exit status 124", parseDuration)
    .option("--boot-timeout <time>", "give up a boot that shows no sign of life for so long: 30s", parseDuration)
    .option("--dry-run", "print QEMU's command line, and start nothing")
    .option("-v, --verbose", "say which way is taken, and how long it took")
    .option("-q, --quiet", "don't say on a terminal which way is taken")
    .option("--json", "with --dry-run and --kernels: print JSON; the command writes to standard error")
    .passThroughOptions()
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl vm run -- uname -r", "on the default kernel"],
        ["xdpctl vm run -k 6.1 --rw . -- make test", "on another, which may write to this directory"],
        ["xdpctl vm run --kernels 6.1,6.12,7.2 -- ./test.sh", "on three, one after the other"],
        ["xdpctl vm run --net user --overlay / -- bash", "a shell that may change anything, for now"],
      ]),
    )
    .action(async (words: string[], options: RunOptions) => {
      if (context.kind !== "shell") throw usage("`vm run` is a command of the shell");
      const given = words[0] === "--" ? words.slice(1) : words;
      const argv = given.length > 0 ? given : [process.env.SHELL ?? "/bin/sh"];
      if (options.kernels !== undefined && options.kernel !== undefined)
        throw usage("--kernel and --kernels can't be used together");
      if (options.root !== undefined && [options.overlay, options.clearDir, options.clearFile].some(Boolean))
        throw usage(
          "--overlay, --clear-dir and --clear-file are for this machine's files: with --root all may be written to",
        );
      if (options.json === true && options.kernels === undefined && options.dryRun !== true)
        throw usage("--json is for --dry-run and --kernels: a command's output is its own");
      try {
        if (options.kernels !== undefined) process.exitCode = await matrix(context, argv, options, options.kernels);
        else process.exitCode = await single(context, argv, options);
      } catch (error) {
        const failure = XdpctlError.wrap(error);
        if (failure.code === "XDPCTL_E_USAGE") throw failure;
        context.terminal.failure(failure);
        process.exitCode = ownStatus(failure);
      }
    });
}

/** The exit status of an error of ours: never one that a command might have, but for what is wrong on the command line. */
function ownStatus(error: XdpctlError): number {
  if (error.code === "XDPCTL_E_INTERRUPTED") return 130;
  return error.exitCode >= 120 ? error.exitCode : 125;
}

/** A folder that is there, as an absolute path. */
function folder(path: string, option: string): string {
  const absolute = resolve(path);
  if (!existsSync(absolute) || !statSync(absolute).isDirectory())
    throw new XdpctlError("XDPCTL_E_NO_FILE", `${option}: there is no directory ${path}`);
  return realpathSync(absolute);
}

function file(path: string, option: string): string {
  const absolute = resolve(path);
  if (statSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== false)
    throw new XdpctlError("XDPCTL_E_NO_FILE", `${option}: there is no file ${path}`);
  return realpathSync(absolute);
}

/** A module is a file, or a name of one that the kernel has. */
function isPath(module: string): boolean {
  return module.includes("/") || /\.ko(\.\w+)?$/.test(module);
}

const ZEROCOPY = ",zerocopy";

async function network(text: string): Promise<GuestNetwork> {
  if (text.endsWith(ZEROCOPY)) return { ...(await network(text.slice(0, -ZEROCOPY.length))), zerocopy: true };
  if (text === "user") return { kind: "user" };
  const [kind, name = ""] = text.split(/:(.*)/s);
  if (kind === "bridge" && name !== "") return { kind, bridge: name };
  if (kind === "lab" && name !== "") {
    const room = await import("../../lab/index.js");
    const only = (): string => selectLab(room, undefined, `--net lab:LAB/${name}`);
    const [lab = "", bridge = ""] = name.includes("/") ? name.split(/\/(.*)/s) : [only(), name];
    const found = room.list().find((one) => one.name === lab);
    if (found?.kernel != null) {
      throw new XdpctlError("XDPCTL_E_NO_LAB", `--net ${text}: the lab ${lab} is in a guest, and its bridges with it`, {
        remedy: "deploy it without `--in-vm`",
      });
    }
    const namespace = room.switchNamespace(lab);
    if (!existsSync(namespace)) {
      const what = found === undefined ? `there is no lab ${lab}` : `the lab ${lab} has no bridges`;
      throw new XdpctlError("XDPCTL_E_NO_LAB", `--net ${text}: ${what}`);
    }
    return { kind: "bridge", bridge, namespace };
  }
  throw usage(
    `--net is \`user\`, \`bridge:BRIDGE\` or \`lab:[LAB/]BRIDGE\`, not ${JSON.stringify(text)}`,
    "each may end with `,zerocopy`",
  );
}

async function guestOptions(context: Context, spec: string, options: RunOptions): Promise<GuestOptions> {
  const { accelerator, resolveKernel } = await import("../../vm/index.js");
  for (const word of options.kopt ?? [])
    if (/[^\x20-\x7e]/.test(word)) throw usage("--kopt: the kernel's command line has printable characters only");
  const log = (text: string): void => context.terminal.note(text);
  const kernel = await resolveKernel(spec, { log, signal: context.signal });
  const modules = options.module ?? [];
  return {
    kernel,
    ...(options.rootFs === undefined ? {} : { rootKind: options.rootFs }),
    ...(options.root === undefined ? {} : { root: folder(options.root, "--root") }),
    overlays: (options.overlay ?? []).map((path) => folder(path, "--overlay")),
    writable: (options.rw ?? []).map((path) => folder(path, "--rw")),
    clearDirs: (options.clearDir ?? []).map((path) => folder(path, "--clear-dir")),
    clearFiles: (options.clearFile ?? []).map((path) => file(path, "--clear-file")),
    networks: await Promise.all((options.net ?? []).map(network)),
    disks: (options.disk ?? []).map((path) => file(path, "--disk")),
    kernelWords: options.kopt ?? [],
    modules: modules.filter((module) => !isPath(module)),
    moduleFiles: modules.filter(isPath).map((path) => file(path, "--module")),
    accelerator: accelerator(options.accel),
    cwd: process.cwd(),
    ...(options.mem === undefined ? {} : { memory: options.mem }),
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.gdb === true ? { gdb: "gdb.sock" } : {}),
    ...(options.watchdog === true ? { watchdog: true } : {}),
    ...(options.qemu === undefined ? {} : { qemu: options.qemu }),
    ...(options.bootTimeout === undefined ? {} : { silenceMs: options.bootTimeout * 1000 }),
  };
}

/** The directory in which the command begins: this one, unless the guest has it not. */
async function cwdOf({ root, writable = [] }: GuestOptions): Promise<string> {
  if (root === undefined) return process.cwd();
  const { imageCwd } = await import("../../vm/index.js");
  return imageCwd(root, writable, process.cwd());
}

const ALWAYS = ["HOME", "TERM", "PATH", "SHELL", "PWD", "USER", "LOGNAME", "LANG"];

/** The same user, directory and environment as here. */
async function commandOptions(
  guest: GuestOptions,
  argv: readonly string[],
  options: RunOptions,
): Promise<GuestCommandOptions> {
  const { terminalOf } = await import("../../vm/index.js");
  const names = options.passEnv === undefined ? Object.keys(process.env) : [...ALWAYS, ...options.passEnv];
  const terminal = terminalOf();
  const cwd = await cwdOf(guest);
  const env = Object.fromEntries(names.map((name) => [name, process.env[name]]));
  return {
    argv: argv as [string, ...string[]],
    env: env.PWD === undefined ? env : { ...env, PWD: cwd },
    cwd,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    umask: process.umask(),
    ...(terminal === undefined ? {} : { terminal }),
    // Standard output is for what we say.
    merged: options.json === true,
  };
}

async function single(context: Context, argv: readonly string[], options: RunOptions): Promise<number> {
  const guest = await guestOptions(context, options.kernel ?? DEFAULT_KERNEL, options);
  if (options.dryRun === true) {
    const { guestCommand, rootKind } = await import("../../vm/index.js");
    const words = guestCommand(guest);
    const root = rootKind(guest.kernel, guest.rootKind, guest.root !== undefined);
    if (options.verbose === true) context.terminal.note(`root: ${guest.root ?? "/"} by ${root}`);
    context.terminal.line(words.map(quoted).join(" "));
    context.terminal.json({ command: words, kernel: guest.kernel, root });
    return 0;
  }
  return await once(context, guest, await commandOptions(guest, argv, options), options);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One kernel after the other: the command's output as it comes, and a table at the end. The first failure's status. */
async function matrix(context: Context, argv: readonly string[], options: RunOptions, list: string): Promise<number> {
  const specs = list
    .split(",")
    .map((spec) => spec.trim())
    .filter(Boolean);
  if (specs.length === 0) throw usage("--kernels names no kernel");
  // A word that can't be a kernel, and one that has to be fetched, are found before the first is booted.
  const guests = new Map<string, GuestOptions | XdpctlError>();
  for (const spec of new Set(specs)) {
    try {
      guests.set(spec, await guestOptions(context, spec, options));
    } catch (error) {
      const failure = XdpctlError.wrap(error);
      if (["XDPCTL_E_USAGE", "XDPCTL_E_INTERRUPTED"].includes(failure.code)) throw failure;
      guests.set(spec, failure);
    }
  }
  const rows: MatrixRow[] = [];
  for (const spec of specs) {
    if (context.signal.aborted) break;
    rows.push(await matrixRow(context, spec, guests.get(spec) as GuestOptions | XdpctlError, argv, options));
  }
  if (options.dryRun !== true) for (const line of table(rows)) context.terminal.note(line);
  context.terminal.json({ kernels: rows });
  return rows.find((row) => row.status !== 0)?.status ?? 0;
}

async function matrixRow(
  context: Context,
  spec: string,
  guest: GuestOptions | XdpctlError,
  argv: readonly string[],
  options: RunOptions,
): Promise<MatrixRow> {
  const started = performance.now();
  const row = { kernel: spec, version: guest instanceof Error ? null : guest.kernel.version, error: null };
  const seconds = (): number => (performance.now() - started) / 1000;
  context.terminal.note(`── ${spec} ──`);
  try {
    if (guest instanceof Error) throw guest;
    if (options.dryRun === true) {
      const { guestCommand } = await import("../../vm/index.js");
      context.terminal.line(guestCommand(guest).map(quoted).join(" "));
      return { ...row, status: 0, seconds: seconds() };
    }
    const status = await once(context, guest, await commandOptions(guest, argv, options), options);
    return { ...row, status, seconds: seconds() };
  } catch (error) {
    const failure = XdpctlError.wrap(error);
    if (!context.terminal.jsonMode) context.terminal.failure(failure);
    return { ...row, status: ownStatus(failure), seconds: seconds(), error: failure.code };
  }
}
