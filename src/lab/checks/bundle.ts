// SPDX-License-Identifier: MIT
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { XdpctlError } from "../../errors/index.js";
import { shown } from "../shown.js";
import { type Bench, runCommand, Stopped } from "./command.js";
import { commandText, endText, outputText } from "./look.js";
import type { CheckResult, TestRun } from "./report.js";

const COMMAND_MS = 20_000;
/** Entries of a map that are kept. */
const MOST_ENTRIES = 1000;

/** What tells how a machine is, by the file that it goes to. */
const COMMANDS: readonly (readonly [file: string, argv: readonly [string, ...string[]]])[] = [
  ["links.txt", ["ip", "-s", "-s", "link"]],
  ["addresses.txt", ["ip", "address"]],
  ["routes.txt", ["ip", "route", "show", "table", "all"]],
  ["routes6.txt", ["ip", "-6", "route"]],
  ["neighbours.txt", ["ip", "neighbour"]],
  ["sockets.txt", ["ss", "-tunap"]],
  ["nftables.txt", ["nft", "list", "ruleset"]],
  ["xdp.txt", ["xdpctl", "status"]],
  ["maps.json", ["xdpctl", "map", "ls", "--json"]],
];

type Put = (path: string, content: string | Uint8Array) => void;

function write(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

/** A directory for what a person needs after a failure; it is made with the first of them. */
export class Bundle {
  readonly directory: string;
  readonly #put: Put;
  #used = false;

  /** `put` takes files instead of the directory. Throws XDPCTL_E_USAGE for a directory that has something in it. */
  constructor(directory: string, put?: Put) {
    this.directory = directory;
    this.#put = put ?? ((path, content) => write(join(directory, path), content));
    if (put !== undefined) return;
    let entries: string[] = [];
    try {
      entries = readdirSync(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        throw new XdpctlError("XDPCTL_E_USAGE", `${shown(directory)} can't be the bundle's directory`, {
          cause: error,
        });
      }
    }
    if (entries.length > 0) {
      throw new XdpctlError("XDPCTL_E_USAGE", `${shown(directory)} is not empty`, {
        remedy: "name a directory that is empty, or not there yet",
      });
    }
  }

  get used(): boolean {
    return this.#used;
  }

  #write(path: string, content: string | Uint8Array): void {
    this.#used = true;
    this.#put(path, content);
  }

  /** Takes a file from a guest, which may name any path. */
  take(path: string, content: Uint8Array): void {
    if (relative("/", join("/", path)) === path) this.#write(path, content);
  }

  /** How all machines are right after a check failed, and its packets. */
  async add(bench: Bench, check: CheckResult, pcapng: Uint8Array | undefined): Promise<void> {
    this.#write(join(check.name, "check.json"), `${JSON.stringify(check, null, 2)}\n`);
    if (pcapng !== undefined) this.#write(join(check.name, "packets.pcapng"), pcapng);
    this.#write(join(check.name, "lab.json"), `${JSON.stringify(bench.lab.inspect(), null, 2)}\n`);
    await Promise.all(bench.lab.nodes.map((node) => this.#machine(bench, node, join(check.name, node))));
  }

  async #machine(bench: Bench, node: string, directory: string): Promise<void> {
    let list: string | undefined;
    for (const [file, argv] of COMMANDS) {
      const text = await said(bench, node, argv);
      if (text !== undefined) this.#write(join(directory, file), text);
      if (file === "maps.json") list = text;
    }
    for (const { id, name } of mapsOf(list)) {
      const dump = await said(bench, node, ["xdpctl", "map", "dump", `${id}`, "--limit", `${MOST_ENTRIES}`]);
      // Names of maps come from an object file.
      const file = `${id}-${name.replace(/[^\w.-]/g, "_")}.txt`;
      if (dump !== undefined) this.#write(join(directory, "maps", file), dump);
    }
  }

  /** The whole run, the kernel's log meanwhile, and what guests wrote, by its path. */
  finish(run: TestRun, log: readonly string[] | undefined, guests: ReadonlyMap<string, string | Uint8Array>): void {
    for (const [path, content] of guests) this.#write(path, content);
    this.#write("report.json", `${JSON.stringify(run, null, 2)}\n`);
    const text = log === undefined ? `not read: ${run.kernelLog.reason ?? "it was not asked for"}` : log.join("\n");
    this.#write("kernel.log", `${text}\n`);
  }
}

/** What a command said, or why it said nothing; undefined where the machine lacks the command. */
async function said(bench: Bench, node: string, argv: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    const ran = await runCommand(bench, node, argv, { timeout: COMMAND_MS, tool: true });
    const end = ran.status === 0 ? "" : `\n# \`${commandText(argv)}\` ${endText(ran, COMMAND_MS)}`;
    return `${ran.status === 0 ? ran.stdout.trimEnd() : outputText(ran)}${end}\n`;
  } catch (error) {
    if (error instanceof Stopped) throw error;
    return XdpctlError.is(error, "XDPCTL_E_NO_FILE") ? undefined : `# ${XdpctlError.wrap(error).message}\n`;
  }
}

function mapsOf(json: string | undefined): { id: number; name: string }[] {
  try {
    const { maps } = JSON.parse(json ?? "") as { maps: { id: number; name: string; type: string }[] };
    // A ring has no entries, and an object's constants say nothing new.
    return maps.filter((map) => map.type !== "ringbuf" && !map.name.startsWith(".ro"));
  } catch {
    return [];
  }
}
