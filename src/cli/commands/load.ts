// SPDX-License-Identifier: MIT
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import type { Attachment, LoadParams, Methods, Mode } from "../../rpc/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseBytes } from "../quantities.js";
import { layout } from "../table.js";

type Loaded = Methods["load"]["result"];

export interface LoadOptions {
  mode: Mode;
  force?: boolean;
  keep?: boolean;
  program?: string;
  ringSize?: number;
  verifierLog?: string;
}

function parseMode(text: string): Mode {
  if (text === "native" || text === "generic" || text === "auto") return text;
  throw usage(`${JSON.stringify(text)} is no mode`, "write native, generic or auto");
}

/** The options that `load` and `run` share. */
export function loadOptions(command: Command): Command {
  return command
    .option("-m, --mode <mode>", "native, generic, or auto, which falls back and says so", parser(parseMode), "auto")
    .option("-f, --force", "replace a program that is not ours")
    .option("-k, --keep", "stay attached after the controller ends")
    .option("-p, --program <name>", "which program of the object, when it has several")
    .option("--ring-size <bytes>", "size of the event ring, a power of two", parser(parseBytes))
    .option("--verifier-log <file>", "where the verifier's whole log goes; `-` is standard output");
}

/** What the controller is asked: built-in names stay, paths become absolute. */
export function loadParams(program: string, interfaces: readonly string[], options: LoadOptions): LoadParams {
  const isPath = program.includes("/") || program.endsWith(".o");
  return {
    program: isPath ? resolve(program) : program,
    interfaces: [...new Set(interfaces.map(interfaceName))],
    mode: options.mode,
    force: options.force === true,
    keep: options.keep === true,
    ...(options.program === undefined ? {} : { section: options.program }),
    ...(options.ringSize === undefined ? {} : { ringSize: options.ringSize }),
    ...(options.verifierLog === undefined ? {} : { verifierLog: true }),
  };
}

function remark(attachment: Attachment): string {
  const remarks: string[] = [];
  if (attachment.fallback !== undefined) remarks.push(`not native: ${attachment.fallback}`);
  const { replaced } = attachment;
  if (replaced !== undefined) {
    remarks.push(`replaced ${replaced.program} id ${replaced.id}${replaced.ours ? "" : ", which was not ours"}`);
  }
  if (attachment.pinned) remarks.push(`pinned; \`xdpctl unload ${attachment.interface}\` removes it`);
  return remarks.length === 0 ? "" : `(${remarks.join("; ")})`;
}

export function attachmentLines(attachments: readonly Attachment[]): string[] {
  const columns = ["", "", "", "", ""].map((title) => ({ title }));
  const rows = attachments.map((a) => [a.interface, a.program, a.mode, `id ${a.id}`, remark(a)]);
  return layout(columns, rows, false);
}

function showLog(context: Context, target: string, log: string): void {
  const text = log.endsWith("\n") ? log : `${log}\n`;
  if (target === "-") {
    // As JSON it is a field of the answer, or of the error.
    if (!context.terminal.jsonMode) context.terminal.raw(text);
  } else writeLog(target, text);
}

function writeLog(target: string, text: string): void {
  try {
    writeFileSync(target, text);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "EIO";
    throw new XdpctlError("XDPCTL_E_NO_FILE", `writing the verifier's log to ${target}: ${code}`, { cause });
  }
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Loads, shows the verifier's log where it was asked for, and says how to get it where it was not. */
export async function load(
  context: Context,
  params: LoadParams,
  options: LoadOptions,
  line: readonly string[],
): Promise<Loaded> {
  const backend = await context.backend();
  // Nothing is attached for a log that can't be written.
  if (options.verifierLog !== undefined && options.verifierLog !== "-") writeLog(options.verifierLog, "");
  try {
    const result = await backend.request("load", params);
    if (options.verifierLog !== undefined && result.log !== undefined) {
      showLog(context, options.verifierLog, result.log);
    }
    return result;
  } catch (thrown) {
    const error = XdpctlError.wrap(thrown);
    if (error.log === undefined) throw error;
    if (options.verifierLog !== undefined) {
      showLog(context, options.verifierLog, error.log);
      const where = options.verifierLog === "-" ? "above" : options.verifierLog;
      throw XdpctlError.from({ ...error.toJSON(), remedy: `whole log: ${where}` });
    }
    if (error.code !== "XDPCTL_E_VERIFIER") throw error;
    const command = ["xdpctl", ...line.map(shellWord), "--verifier-log", "-"].join(" ");
    throw XdpctlError.from({ ...error.toJSON(), remedy: `whole log: ${command}` });
  }
}

export function register(program: Command, context: Context): void {
  loadOptions(
    leaf(program, "load <program> <interface...>", "put a program on interfaces, replacing what is ours there", [
      ["xdpctl load drop eth1", "drop all that comes in on eth1"],
      ["xdpctl load guard eth0 eth1", "one guard with one set of rules on both"],
      ["xdpctl load ./filter.bpf.o eth1 --mode native", "an object of your own, or an error"],
      ["xdpctl load ./filter.bpf.o eth1 --verifier-log -", "with the verifier's whole log"],
    ]),
  ).action(async (name: string, interfaces: string[], options: LoadOptions) => {
    const params = loadParams(name, interfaces, options);
    // What a shell loads outlives the shell's command, whoever does the work.
    if (context.kind === "shell") params.keep = true;
    const loaded = await load(context, params, options, ["load", name, ...interfaces]);
    for (const line of attachmentLines(loaded.attachments)) context.terminal.line(line);
    context.terminal.json(loaded);
  });
}
