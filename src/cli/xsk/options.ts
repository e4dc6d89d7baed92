// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { RedirectRule, RingSizes, Wait, XskOptions } from "../../xsk/index.js";
import { parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { parsePort, parseTarget } from "../targets.js";

/** In a script nobody presses Ctrl-C. */
export function needsEnd(context: Context, given: { count?: number; for?: number }): void {
  if (context.kind === "script" && given.count === undefined && given.for === undefined)
    throw usage("in a script, this has no end", "write --count N or --for DURATION");
}

export interface MemoryArguments {
  frames: number;
  frameSize: number;
  ring: number;
  rxRing?: number;
  txRing?: number;
  fillRing?: number;
  completionRing?: number;
}

/** What every command of `xsk` takes. */
export interface ServeArguments extends MemoryArguments {
  queue: number;
  mode: "auto" | "native" | "generic";
  copy: "auto" | "copy" | "zerocopy";
  jumbo?: boolean;
  stats?: true | number;
  count?: number;
  for?: number;
}

/** What those take beside that wait for one socket alone, and leave a part of the frames to the network stack. */
export interface SocketArguments extends ServeArguments {
  wait: Wait;
  protocol?: string;
  port?: number;
  from?: string;
  to?: string;
  fd?: number;
}

/** With `--queue all`. */
export type AllQueuesArguments = Omit<SocketArguments, "queue"> & { queue: "all" };

export const oneOf =
  (what: string, words: readonly string[]) =>
  (text: string): string => {
    if (words.includes(text)) return text;
    throw usage(`${JSON.stringify(text)} is no ${what}`, words.join(", "));
  };

const parseQueue = (text: string): number => parseCount("queue", text, 0, 255);

const parseFrameSize = (text: string): number => Number(oneOf("size of a frame", ["2048", "4096"])(text));
const parseRing = (text: string): number => parseCount("ring size", text);

/** What sockets' frames and rings are like. */
export function memoryOptions(command: Command): Command {
  return command
    .option("--frame-size <bytes>", "bytes of a frame, 2048 or 4096", parseFrameSize, 2048)
    .option("--ring <n>", "descriptors of each ring, a power of two", parseRing, 2048)
    .option("--rx-ring <n>", "of the RX ring alone", parseRing)
    .option("--tx-ring <n>", "of the TX ring alone", parseRing)
    .option("--fill-ring <n>", "of the fill ring alone: frames that the kernel has to receive into", parseRing)
    .option("--completion-ring <n>", "of the completion ring alone", parseRing);
}

/** `--ring`, and the rings that have a size of their own. */
export function ringsOf(given: MemoryArguments): Partial<RingSizes> {
  const { ring, rxRing = ring, txRing = ring, completionRing = ring, fillRing } = given;
  return { rx: rxRing, tx: txRing, completion: completionRing, ...(fillRing === undefined ? {} : { fill: fillRing }) };
}

/** Adds the options of sockets and of how long they are served. */
export function serveOptions(command: Command, frames = 4096): Command {
  command
    .option("-q, --queue <n>", "queue of the interface", parseQueue, 0)
    .option("--mode <mode>", "auto, native or generic", oneOf("mode", ["auto", "native", "generic"]), "auto")
    .option("--copy <how>", "auto, copy or zerocopy", oneOf("way to copy", ["auto", "copy", "zerocopy"]), "auto")
    .option("--jumbo", "take packets of several frames, up to 64 KiB (Linux 6.6)")
    .option("--frames <n>", "frames of the UMEM", (text) => parseCount("number of frames", text), frames);
  return memoryOptions(command)
    .option("--stats [interval]", "show where the packets went, every second or so", parser(parseDuration))
    .option("-n, --count <n>", "end after N packets", (text) => parseCount("count", text))
    .option("--for <duration>", "end after this time", parser(parseDuration));
}

/** The same for one interface, with the options that pick frames. */
export function socketOptions(command: Command): Command {
  return serveOptions(command)
    .option("--wait <how>", "loop, poll or spin", oneOf("way to wait", ["loop", "poll", "spin"]), "poll")
    .option("--protocol <name>", "take only tcp, udp, icmp, icmpv6, arp, or a protocol's number")
    .option("--port <n>", "take only this destination port", parser(parsePort))
    .option("--from <prefix>", "take only what comes from these addresses", parser(parseTarget))
    .option("--to <prefix>", "take only what goes to these addresses", parser(parseTarget))
    .option("--fd <n>", "use the socket that `xdpctl xsk open` has handed over", (text) =>
      parseCount("descriptor", text, 3, 1_000_000),
    );
}

/** Makes `--queue` take `all`, too: for commands whose queues don't need each other. */
export function allQueues(command: Command): Command {
  const option = command.options.find(({ long }) => long === "--queue");
  option?.argParser((text) => (text === "all" ? text : parseQueue(text)));
  if (option !== undefined) option.description = "queue of the interface, or `all`: a worker for each";
  return command;
}

/** The options of the library's socket. */
export function xskOptions(given: ServeArguments, rule?: RedirectRule) {
  return {
    queue: given.queue,
    mode: given.mode,
    copy: given.copy,
    rings: ringsOf(given),
    ...(given.jumbo === true ? { multiBuffer: true } : {}),
    ...(rule === undefined ? {} : { filter: rule }),
  } satisfies XskOptions;
}

/** Which frames the command line picks; undefined for all. */
export function ruleOf({ protocol, port, from, to }: SocketArguments): RedirectRule | undefined {
  if (protocol === undefined && port === undefined && from === undefined && to === undefined) return undefined;
  const number = protocol === undefined || !/^\d+$/.test(protocol) ? undefined : Number(protocol);
  return {
    ...(protocol === undefined ? {} : { protocol: number ?? (protocol as "udp") }),
    ...(port === undefined ? {} : { port }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}
