// SPDX-License-Identifier: MIT
import type { TestPair } from "../test/fixtures/netns.js";
import { cProgram } from "./build.js";
import { LineProcess } from "./lines.js";

const PORT = "9000";

/** Datagrams from left to right at a steady rate, counted at both ends. */
export class Traffic {
  readonly #sender: LineProcess;
  readonly #counter: LineProcess;

  private constructor(sender: LineProcess, counter: LineProcess) {
    this.#sender = sender;
    this.#counter = counter;
  }

  static async start(pair: TestPair, rate: number): Promise<Traffic> {
    const udp = cProgram("udp");
    const counter = new LineProcess(pair.right.argv(udp, "count", PORT));
    await counter.receive();
    // The first packet would wait for ARP while others overtake it into a full queue.
    pair.left.ping(pair.rightAddress);
    return new Traffic(new LineProcess(pair.left.argv(udp, "send", pair.rightAddress, PORT, `${rate}`)), counter);
  }

  async sent(): Promise<number> {
    return Number(await this.#sender.ask("sent"));
  }

  /** Stops sending, waits for what is on its way, and says what was sent and what never came. */
  async stop(): Promise<{ sent: number; lost: number }> {
    const sent = Number(await this.#sender.ask("stop"));
    const received = Number(await this.#counter.ask("count"));
    await Promise.all([this.#sender.close(), this.#counter.close()]);
    return { sent, lost: sent - received };
  }
}
