// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { EchoReply } from "../../netlink/index.js";
import { leaf } from "../command.js";
import type { Context } from "../context.js";
import { parseCount } from "../quantities.js";

interface EchoOptions {
  count?: number;
  family: string;
}

function time(microseconds: number): string {
  return microseconds < 1000 ? `${microseconds.toFixed(1)} µs` : `${(microseconds / 1000).toFixed(2)} ms`;
}

function summary(replies: number, times: { sum: number; least: number; most: number }): string {
  const mean = times.sum / replies;
  return `${replies} replies  least ${time(times.least)}  mean ${time(mean)}  most ${time(times.most)}`;
}

/** `xdpctl genl echo`: the kernel's module answers with what it is sent. */
export function echo(genl: Command, context: Context): void {
  leaf(genl, "echo <text...>", "have the module genl-echo answer, and say how long that took", [
    ["xdpctl genl echo hello", "one request to the family ECHO"],
    ["xdpctl genl echo hello --count 100", "a hundred, one after the other"],
    ["xdpctl genl echo hello --family ECHO2", "another family that speaks the same"],
  ])
    .option("-n, --count <number>", "so many requests", (text) => parseCount("count", text))
    .option("-f, --family <name>", "the family", "ECHO")
    .action(async (words: string[], options: EchoOptions) => {
      const { EchoClient } = await import("../../netlink/index.js");
      const { terminal, signal } = context;
      const client = new EchoClient(options.family);
      try {
        const text = words.join(" ");
        const wanted = options.count ?? 1;
        const times = { sum: 0, least: Number.POSITIVE_INFINITY, most: 0 };
        let n = 0;
        for (; n < wanted && !signal.aborted; n++) {
          const reply: EchoReply = client.echo(text);
          const { microseconds } = reply;
          times.sum += microseconds;
          times.least = Math.min(times.least, microseconds);
          times.most = Math.max(times.most, microseconds);
          terminal.line(`${reply.text}  ${time(microseconds)}`);
          terminal.json({ type: "echo", family: client.family, seq: n + 1, text: reply.text, microseconds });
          // A signal, and whoever reads this, have their turn.
          if (n % 64 === 63) await new Promise((resolve) => setImmediate(resolve));
        }
        if (n > 1) terminal.line(summary(n, times));
      } finally {
        client.close();
      }
    });
}
