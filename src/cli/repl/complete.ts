// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { Backend } from "../../rpc/index.js";
import { LINE_WORDS } from "./session.js";
import { tokenize } from "./tokenize.js";

const PROGRAMS = ["pass", "drop", "guard"];
const LAB_COMMANDS = ["deploy", "run", "destroy", "inspect", "ls", "exec", "shell", "tmux", "gc", "validate"];

/** What completion draws on. */
export interface Sources {
  program: Command;
  backend: Backend;
}

/** Completes the last word of `line`: the words that fit, and the text that they complete (readline's answer). */
export async function complete(line: string, sources: Sources): Promise<[string[], string]> {
  const { tokens } = tokenize(line);
  const last = tokens.at(-1);
  const atWord = last !== undefined && last.end === line.length;
  const typed = atWord ? line.slice(last.start) : "";
  const before = (atWord ? tokens.slice(0, -1) : tokens).map((token) => token.text);
  const found = await candidates(before, atWord ? last.text : "", sources).catch(() => []);
  const hits = [...new Set(found)].filter((word) => word.startsWith(atWord ? last.text : "")).sort();
  return [hits.map((word) => (word.endsWith("/") ? word : `${word} `)), typed];
}

async function candidates(before: readonly string[], word: string, sources: Sources): Promise<string[]> {
  const [name, ...rest] = before;
  if (name === undefined) return [...LINE_WORDS];
  if (name === "help") return rest.length === 0 ? [...LINE_WORDS] : [];
  if (name === "lab") return lab(rest, word);
  const { command, args } = find(sources.program, before);
  if (word.startsWith("-")) return command === undefined ? [] : options(command);
  if (command === undefined) return [];
  if (command.commands.length > 0) return command.commands.map((inner) => inner.name());
  const previous = before.at(-1);
  if (previous === "--interface" || previous === "-i") return await interfaces(sources);
  if (previous === "--mode" || previous === "-m") return ["native", "generic", "auto"];
  if (previous === "--verifier-log" || previous === "--policy") return files(word);
  return await positional(commandPath(command), args.length, word, sources);
}

/** Walks `map`, `dump` … down to the command that acts, and counts the words that are no options. */
function find(program: Command, words: readonly string[]): { command: Command | undefined; args: string[] } {
  let command: Command | undefined = program;
  const rest = [...words];
  while (rest.length > 0) {
    const next: Command | undefined = command?.commands.find((inner) => inner.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    rest.shift();
  }
  return { command: command === program ? undefined : command, args: rest.filter((word) => !word.startsWith("-")) };
}

function commandPath(command: Command): string {
  const parent = command.parent;
  return parent === null || parent.parent === null ? command.name() : `${parent.name()} ${command.name()}`;
}

function options(command: Command): string[] {
  return ["--help", ...command.options.flatMap((option) => (option.long === undefined ? [] : [option.long]))];
}

async function positional(path: string, at: number, word: string, sources: Sources): Promise<string[]> {
  switch (path) {
    case "load":
      return at === 0 ? [...PROGRAMS, ...files(word)] : await interfaces(sources);
    case "unload":
    case "status":
      return await interfaces(sources);
    case "map dump":
    case "map get":
    case "map set":
    case "map delete":
    case "map watch":
      return at === 0 ? (await sources.backend.request("map.list", { all: false })).maps.map((map) => map.name) : [];
    case "policy load":
    case "policy check":
      return files(word);
    case "policy unload":
    case "policy reload":
      return (await sources.backend.request("policy.list", {})).policies.map((policy) => policy.name);
    default:
      return [];
  }
}

async function interfaces(sources: Sources): Promise<string[]> {
  return (await sources.backend.request("status", {})).interfaces.map((status) => status.interface);
}

function files(word: string): string[] {
  const folder = word.endsWith("/") ? word : dirname(word);
  const start = word.includes("/") ? folder : ".";
  try {
    return readdirSync(start, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith(".") || basename(word).startsWith("."))
      .map((entry) => {
        const path = word.includes("/") ? join(folder, entry.name) : entry.name;
        const shown = word.startsWith("./") ? `./${path}` : path;
        return entry.isDirectory() ? `${shown}/` : shown;
      });
  } catch {
    return [];
  }
}

function lab(args: readonly string[], word: string): string[] {
  if (args.length === 0) return LAB_COMMANDS;
  if (args.length === 1 && (args[0] === "exec" || args[0] === "shell")) return labNodes();
  return args[0] === "deploy" || args[0] === "validate" ? files(word) : [];
}

/** Every machine of a lab knows all others by name. */
function labNodes(): string[] {
  if (process.env.XDPCTL_LAB === undefined) return [];
  const own = new Set(["localhost", "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters"]);
  const lines = readFileSync("/etc/hosts", "utf8").split("\n");
  const names = lines.flatMap((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1));
  // `client6` is the machine `client` by its IPv6 address.
  const isAlias = (name: string): boolean => name.endsWith("6") && names.includes(name.slice(0, -1));
  return names.filter((name) => !own.has(name) && !isAlias(name));
}
