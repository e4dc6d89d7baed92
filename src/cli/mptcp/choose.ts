// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { XdpctlError } from "../../errors/index.js";
import { readBounded } from "../../linux/index.js";
import type { MptcpEvent } from "../../netlink/index.js";
import type { Interactive } from "../../policy/index.js";

/** A function of the script may run as long as a hook of a policy. */
const LIMIT_MS = 100;

function source(file: string, most: number): string {
  try {
    return readBounded(file, most, { wait: true }).toString();
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = missing ? "there is no such file" : (cause as Error).message;
    throw new XdpctlError("XDPCTL_E_NO_FILE", `${file} can't be read: ${reason}`, { cause });
  }
}

/** A Lua script that chooses detours, in the sandbox of policies: its `choose(remote, port, source, …)` is asked. */
export class Chooser implements AsyncDisposable {
  readonly #name: string;
  readonly #source: string;
  readonly #sandbox: Interactive;
  /** False until the script ran, and again after a failure, which may have ended the sandbox. */
  #ready = false;
  /** One question after the other: each has its own time. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(name: string, text: string, sandbox: Interactive) {
    this.#name = name;
    this.#source = text;
    this.#sandbox = sandbox;
  }

  /** Runs the script once. Errors: XDPCTL_E_NO_FILE, XDPCTL_E_LUA_SYNTAX, XDPCTL_E_LUA_RUNTIME, XDPCTL_E_LUA_TIMEOUT. */
  static async load(file: string, log: (text: string) => void): Promise<Chooser> {
    const { Interactive, MAX_SOURCE } = await import("../../policy/index.js");
    const text = source(file, MAX_SOURCE);
    const chooser = new Chooser(basename(file), text, new Interactive({ onLog: log }));
    try {
      const kind = await chooser.#run("type(choose)");
      if (kind === "function") return chooser;
      throw new XdpctlError("XDPCTL_E_LUA_RUNTIME", `${file} has no function \`choose\``, {
        remedy: "`function choose(remote, port, source, …)` returns those of its detours to use",
      });
    } catch (error) {
      await chooser.close();
      throw error;
    }
  }

  /** Those of `detours` that a connection shall use. */
  async choose(event: MptcpEvent, detours: readonly string[]): Promise<string[]> {
    const words = [event.destination, event.destinationPort, event.source, ...detours];
    const list = words.map((word) => JSON.stringify(word)).join(", ");
    const chosen = (await this.#run(`table.concat({choose(${list})}, " ")`)).split(" ").filter((word) => word !== "");
    const other = chosen.find((one) => !detours.includes(one));
    if (other === undefined) return chosen;
    throw new XdpctlError(
      "XDPCTL_E_LUA_RUNTIME",
      `${this.#name}: choose returned ${other}, which is none of the detours`,
    );
  }

  #run(expression: string): Promise<string> {
    const answer = this.#queue.then(() => this.#ask(expression));
    this.#queue = answer.catch(() => {});
    return answer;
  }

  async #ask(expression: string): Promise<string> {
    try {
      if (!this.#ready) await this.#limited(this.#source, false);
      this.#ready = true;
      const { values } = await this.#limited(expression, true);
      return (values[0] ?? "").replace(/^"(.*)"$/s, "$1");
    } catch (error) {
      this.#ready = false;
      const { code, message } = XdpctlError.wrap(error);
      throw new XdpctlError(code, `${this.#name}: ${message}`, { cause: error });
    }
  }

  async #limited(code: string, expression: boolean): Promise<{ values: string[] }> {
    const timer = setTimeout(() => this.#sandbox.interrupt(), expression ? LIMIT_MS : 10 * LIMIT_MS);
    try {
      return await this.#sandbox.run(code, expression);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#sandbox.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
