// SPDX-License-Identifier: MIT
import { isatty } from "node:tty";
import type { Command } from "commander";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseBytes, parseCount, parseDuration } from "../quantities.js";

export interface CaptureFlags {
  write?: string;
  filter?: string;
  count?: number;
  snaplen?: number;
  for?: number;
  ringSize?: number;
}

const MAX_RING = 2 ** 30;

function ringSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes >= 4096 && bytes <= MAX_RING && Number.isInteger(Math.log2(bytes))) return bytes;
  throw usage(`a ring of ${bytes} bytes: the size is a power of two, 4096 to 1 GiB`, "write --ring-size 8M");
}

export function register(program: Command, context: Context): void {
  leaf(program, "capture <interface>", "what XDP sees on an interface, with its verdict; ends with Ctrl-C", [
    ["xdpctl capture eth1", "a line for each frame: queue, verdict, reason, what it is"],
    ["xdpctl capture eth1 -w eth1.pcapng --count 100", "for Wireshark and tshark, verdicts and queues too"],
    ["xdpctl capture eth1 --filter 'tcp port 80 and host 192.168.6.1'", "in tcpdump's language, in the kernel"],
    ["xdpctl capture eth1 -w - | wireshark -k -i -", "live"],
  ])
    .option("-w, --write <file>", "write pcapng to a file, or to standard output (`-`)")
    .option("-f, --filter <expression>", "only frames that this matches, in tcpdump's language (libpcap)")
    .option("-c, --count <n>", "end after N frames", (text) => parseCount("count", text))
    .option("-s, --snaplen <bytes>", "keep so many bytes of a frame; all by default", (text) =>
      parseCount("length", text, 14, 262_144),
    )
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .option(
      "--ring-size <bytes>",
      "of the ring between the kernel and us, a power of two; 8M by default",
      parser(ringSize),
    )
    .action(async (name: string, flags: CaptureFlags) => {
      if (flags.write === "-" && isatty(1)) throw usage("pcapng is no text for a terminal", "`-w FILE`, or a pipe");
      if (context.kind === "script" && flags.count === undefined && flags.for === undefined) {
        throw usage("in a script, `capture` needs an end", "write --count N or --for DURATION");
      }
      const { capture } = await import("../capture/run.js");
      await capture(interfaceName(name), flags, context);
    });
}
