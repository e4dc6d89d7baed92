// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { type ErrandAnswer, type ErrandRequest, Lines } from "../../errand.js";
import { packageRoot } from "../../paths.js";

/** What a guest may ask for: what looks at its lab, or runs in its machines; nothing that makes or removes labs. */
const VERBS = ["capture", "events", "exec", "impair", "inspect", "link", "list", "ls"];
const MOST = 1 << 20;

/**
 * Runs the `lab` commands that a guest's root asks for, one at a time: here, on the host, on its own lab. Only for guests whose
 * lab file says so, because a command in a machine of namespaces is one of the host's root.
 */
export class Errands implements Disposable {
  readonly #socket: Socket;
  readonly #lab: string;
  readonly #lines = new Lines(MOST);
  #running: { id: string; child: ChildProcess } | undefined;

  constructor(path: string, lab: string) {
    this.#lab = lab;
    this.#socket = connect(path);
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (bytes: Buffer) => {
      for (const line of this.#lines.push(bytes)) this.#take(line);
    });
    this.#socket.once("close", () => this.#end());
  }

  [Symbol.dispose](): void {
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
    if ("run" in request) this.#run(request.id, request.run, String(request.cwd));
    else if (request.id !== this.#running?.id) return;
    else if ("signal" in request) this.#running.child.kill(request.signal === "SIGTERM" ? "SIGTERM" : "SIGINT");
    else this.#feed(this.#running.child, request);
  }

  #run(id: string, words: readonly unknown[], cwd: string): void {
    // Who asks again has let go of what it asked for before.
    this.#end();
    const refused = refusal(words, this.#lab);
    if (refused !== undefined) {
      this.#answer({ id, stream: 2, bytes: Buffer.from(`error: ${refused}  XDPCTL_E_USAGE\n`).toString("base64") });
      this.#answer({ id, status: 2 });
      return;
    }
    const argv = [join(packageRoot(), "bin", "xdpctl.cjs"), "lab", ...(words as string[])];
    const child = spawn(process.execPath, argv, {
      stdio: "pipe",
      cwd: existsSync(cwd) ? cwd : "/",
      env: { ...process.env, XDPCTL_LAB: this.#lab },
    });
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

  #answer(answer: ErrandAnswer): boolean {
    return this.#socket.write(`${JSON.stringify(answer)}\n`);
  }
}

function refusal(words: readonly unknown[], lab: string): string | undefined {
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string")) return "this is no command";
  const [verb = ""] = words as string[];
  if (verb !== "--help" && !VERBS.includes(verb)) {
    return `\`lab ${verb}\` is not for guests: from here there are ${VERBS.join(", ")}`;
  }
  const given = (words as string[]).findIndex((word) => word === "--lab" || word.startsWith("--lab="));
  const end = words.indexOf("--");
  if (given < 0 || (end >= 0 && given > end)) return undefined;
  const name = (words[given] as string).slice(6) || words[given + 1];
  return name === lab ? undefined : "a guest may use its own lab only";
}
