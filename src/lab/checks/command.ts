// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../../errors/index.js";
import { inNamespaces } from "../../linux/index.js";
import type { SpawnOptions } from "../kinds/index.js";
import type { Lab } from "../lab.js";
import { binDir } from "../paths.js";

/** Bytes of each output stream that are kept. */
const MOST_OUTPUT = 1 << 20;

/** What a check works with. */
export interface Bench {
  readonly lab: Lab;
  /** Aborted when the test is to end: what runs is ended, and `Stopped` is thrown. */
  readonly signal: AbortSignal;
}

/** The test was told to end. */
export class Stopped extends Error {}

export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Ends a child and what it started: it has a process group of its own. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended in between.
  }
}

type Argv = readonly [string, ...string[]];

/** Starts one of our tools such that it sees a machine's network. A container's image need not have it: there the host's is taken. */
function spawnTool(lab: Lab, node: string, argv: Argv, options: SpawnOptions): ChildProcess {
  const { kind } = lab.spec.nodes.find((one) => one.name === node) ?? {};
  if (kind !== "container") return lab.spawn(node, argv, options);
  const [file, ...args] = argv;
  const env = { ...process.env, PATH: `${binDir(lab.name)}:${process.env.PATH ?? ""}` };
  const { net } = lab.namespaces(node);
  return inNamespaces({ net }, () => spawn(file, args, { env, stdio: "pipe", ...options } as const));
}

export interface RunOptions {
  /** Milliseconds. */
  readonly timeout: number;
  /** The command is one that a check needs, and not one that is tested. */
  readonly tool?: boolean;
}

/** Runs a command in a machine, at most `timeout` milliseconds. Throws XDPCTL_E_NO_FILE where there is none of that name. */
export async function runCommand(
  { lab, signal }: Bench,
  node: string,
  argv: Argv,
  { timeout, tool = false }: RunOptions,
): Promise<Ran> {
  if (signal.aborted) throw new Stopped();
  const options: SpawnOptions = { stdio: ["ignore", "pipe", "pipe"], detached: true };
  const child = tool ? spawnTool(lab, node, argv, options) : lab.spawn(node, argv, options);
  const texts = [collect(child.stdout), collect(child.stderr)] as const;
  let timedOut = false;
  const stop = (): void => endGroup(child);
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, timeout);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const [status, by] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once("error", reject);
      // `exit`, not `close`: what it left in the background may hold the pipes for ever.
      child.once("exit", (code, by) => {
        const done = (): void => resolve([code, by]);
        const late = setTimeout(done, 50);
        child.once("close", () => {
          clearTimeout(late);
          done();
        });
      });
    });
    if (signal.aborted) throw new Stopped();
    return { status, signal: by, stdout: texts[0](), stderr: texts[1](), timedOut };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no command \`${argv[0]}\` in ${node}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const parts: Buffer[] = [];
  let size = 0;
  stream?.on("data", (part: Buffer) => {
    if (size < MOST_OUTPUT) parts.push(part);
    size += part.length;
  });
  return () => Buffer.concat(parts).subarray(0, MOST_OUTPUT).toString();
}

/** dist/lab-reach.js: beside the bundle, or in dist/ when this runs from src/. */
function reachPath(): string {
  const found = ["./lab-reach.js", "../../../dist/lab-reach.js"]
    .map((relative) => fileURLToPath(new URL(relative, import.meta.url)))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new XdpctlError("XDPCTL_E_INTERNAL", "dist/lab-reach.js is missing", { remedy: "run `npm run build`" });
}

/** One end of a test connection in a machine; see reach-main.ts for its roles and what it says. */
export class ReachEnd implements Disposable {
  readonly #bench: Bench;
  readonly #child: ChildProcess;
  readonly #node: string;
  readonly #lines: string[] = [];
  #rest = "";
  #ended = false;
  #wake: () => void = () => {};

  constructor(bench: Bench, node: string, role: string, address: string, port: number, ms: number, token = "") {
    this.#bench = bench;
    this.#node = node;
    const argv: Argv = [process.execPath, reachPath(), role, address, `${port}`, `${ms}`, token];
    const child = spawnTool(bench.lab, node, argv, { stdio: ["pipe", "pipe", "ignore"], detached: true });
    this.#child = child;
    child.stdin?.on("error", () => {});
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = `${this.#rest}${text}`.split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    child.once("error", end).once("close", end);
  }

  /** The next line that it says, waited for at most `ms`; undefined when none comes. */
  async line(ms: number): Promise<string | undefined> {
    const { signal } = this.#bench;
    const deadline = performance.now() + ms;
    while (this.#lines.length === 0 && !this.#ended && !signal.aborted) {
      const left = deadline - performance.now();
      if (left <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener("abort", this.#wake, { once: true });
      });
      signal.removeEventListener("abort", this.#wake);
    }
    if (signal.aborted) throw new Stopped();
    return this.#lines.shift();
  }

  /** Waits for `ready`, and gives the port; undefined when somebody has that port. */
  async ready(): Promise<number | undefined> {
    const line = await this.line(20_000);
    if (line === "busy") return undefined;
    if (line?.startsWith("ready") === true) return Number(line.slice(6) || 0);
    const why = line?.replace(/^error /, "") ?? "it did not start";
    throw new XdpctlError("XDPCTL_E_SYSCALL", `listening in ${this.#node}: ${why}`);
  }

  close(): void {
    endGroup(this.#child);
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
