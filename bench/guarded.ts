// SPDX-License-Identifier: MIT
import type { TestPair } from "../test/fixtures/netns.js";
import { cProgram } from "./build.js";
import type { Observed } from "./controller.js";
import { LineProcess } from "./lines.js";

/** Someone who answers a guard's events (our controller with a policy, or C), and the process that makes the events. */
export class Guarded {
  readonly #owner: LineProcess;
  readonly #events: LineProcess;

  private constructor(owner: LineProcess, events: LineProcess) {
    this.#owner = owner;
    this.#events = events;
  }

  static async start(pair: TestPair, argv: readonly string[]): Promise<Guarded> {
    const owner = new LineProcess(pair.right.argv(...argv));
    const [program = "", ifindex = "", deny = ""] = (await owner.receive()).split(" ");
    const events = cProgram("events");
    return new Guarded(owner, new LineProcess(pair.right.argv(events, program, ifindex, deny)));
  }

  static controller(pair: TestPair): Promise<Guarded> {
    return Guarded.start(pair, [process.execPath, "build/bench/controller.mjs", "eth0", "bench/policies/block.lua"]);
  }

  async handled(): Promise<number> {
    const answer = await this.#owner.ask("how many");
    return answer.startsWith("{") ? (JSON.parse(answer) as Observed).calls : Number(answer);
  }

  async observe(): Promise<Observed> {
    return JSON.parse(await this.#owner.ask("how many")) as Observed;
  }

  /** Makes `count` deny events at `rate` a second (0: as fast as it goes). */
  async flood(count: number, rate: number): Promise<void> {
    await this.#events.ask(`flood ${count} ${rate}`);
  }

  /** From a packet to the answer in the map, in µs. */
  async latency(count: number, gapUs: number): Promise<{ p50: number; p99: number; missed: number }> {
    const [p50 = 0, p99 = 0, missed = 0] = (await this.#events.ask(`latency ${count} ${gapUs}`)).split(" ").map(Number);
    return { p50, p99, missed };
  }

  async close(): Promise<void> {
    await this.#events.close();
    await this.#owner.close();
  }
}
