// SPDX-License-Identifier: MIT
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { ERRAND_BEAT_MS, type ErrandAnswer, type ErrandRequest, Lines } from "../../errand.js";
import { packageRoot } from "../../paths.js";
import { ONLY_LAB } from "../../state.js";

/** What a guest may ask for: what looks at its lab, or runs in its machines; nothing that makes or removes labs. */
const VERBS = ["capture", "events", "exec", "impair", "inspect", "link", "list", "ls"];
const MOST = 1 << 20;
const LONGEST_ID = 64;
/** Bytes of answers that wait for the guest to read them: then nothing more is read of it. */
const MOST_WAITING = 1 << 20;
const SILENT_MS = 12 * ERRAND_BEAT_MS;

/**
 * Runs the `lab` commands that a guest's root asks for, one at a time: here, on the host, on its own lab. Only for guests whose
 * lab file says so, because a command in a machine of namespaces is one of the host's root.
 */
export class Errands implements Disposable {
  readonly #socket: Socket;
  readonly #lab: string;
  readonly #lines = new Lines(MOST);
  #running: { id: string; child: ChildProcess } | undefined;
  #heard = 0;
  readonly #look: NodeJS.Timeout;

  constructor(path: string, lab: string) {
    this.#lab = lab;
    this.#socket = connect(path);
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (bytes: Buffer) => {
      for (const line of this.#lines.push(bytes)) this.#take(line);
    });
    this.#socket.on("drain", () => this.#socket.resume());
    this.#socket.once("close", () => this[Symbol.dispose]());
    this.#look = setInterval(() => {
      if (Date.now() - this.#heard > SILENT_MS) this.#end();
    }, ERRAND_BEAT_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#look);
    this.#end();
    this.#socket.destroy();
  }

  #end(): void {
    this.#running?.child.kill("SIGKILL");
    this.#running = undefined;
  }

  #take(line: string): void {
    let request: ErrandRequest;
    try {
      request = JSON.parse(line) as ErrandRequest;
    } catch {
      return;
    }
    if (typeof request !== "object" || request === null || typeof request.id !== "string") return;
    if (request.id.length > LONGEST_ID) return;
    this.#heard = Date.now();
    if ("waits" in request) return;
    if ("run" in request) this.#run(request.id, request.run, String(request.cwd));
    else if (request.id !== this.#running?.id) return;
    else if ("signal" in request) this.#running.child.kill(request.signal === "SIGTERM" ? "SIGTERM" : "SIGINT");
    else this.#feed(this.#running.child, request);
  }

  #run(id: string, words: readonly unknown[], cwd: string): void {
    // Who asks again has let go of what it asked for before.
    this.#end();
    const refused = refusal(words);
    if (refused !== undefined) {
      this.#refuse(id, `${refused}  XDPCTL_E_USAGE`, 2);
      return;
    }
    const argv = [join(packageRoot(), "bin", "xdpctl.cjs"), "lab", ...(words as string[])];
    let child: ChildProcessWithoutNullStreams;
    try {
      const env = { ...process.env, XDPCTL_LAB: this.#lab, [ONLY_LAB]: this.#lab };
      child = spawn(process.execPath, argv, { stdio: "pipe", cwd: folder(cwd), env });
    } catch (error) {
      // Arguments that no command can have: with a NUL, or too long.
      this.#refuse(id, `${(error as Error).message}  XDPCTL_E_USAGE`, 126);
      return;
    }
    this.#running = { id, child };
    child.stdin.on("error", () => undefined);
    for (const [stream, from] of [
      [1, child.stdout],
      [2, child.stderr],
    ] as const) {
      from.on("data", (bytes: Buffer) => {
        if (this.#answer({ id, stream, bytes: bytes.toString("base64") })) return;
        from.pause();
        this.#socket.once("drain", () => from.resume());
      });
    }
    child.once("error", () => this.#answer({ id, status: 127 }));
    child.once("close", (code, signal) => {
      this.#answer({ id, status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) });
      if (this.#running?.child === child) this.#running = undefined;
    });
  }

  #feed({ stdin }: ChildProcess, { id, input }: { id: string; input: string | null }): void {
    const taken = (): void => void this.#answer({ id, taken: true });
    if (input === null) {
      stdin?.end();
      taken();
    } else stdin?.write(Buffer.from(String(input), "base64"), taken);
  }

  #refuse(id: string, why: string, status: number): void {
    this.#answer({ id, stream: 2, bytes: Buffer.from(`error: ${why}\n`).toString("base64") });
    this.#answer({ id, status });
  }

  #answer(answer: ErrandAnswer): boolean {
    const fits = this.#socket.write(`${JSON.stringify(answer)}\n`);
    if (this.#socket.writableLength > MOST_WAITING) this.#socket.pause();
    return fits;
  }
}

function folder(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : "/";
}

function refusal(words: readonly unknown[]): string | undefined {
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string")) return "this is no command";
  const [verb = ""] = words as string[];
  if (verb === "--help" || VERBS.includes(verb)) return undefined;
  return `\`lab ${verb.slice(0, 40)}\` is not for guests: from here there are ${VERBS.join(", ")}`;
}
