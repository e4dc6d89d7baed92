// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { Umem, type UmemOptions, type XskOptions, XskSocket } from "../../xsk/index.js";
import { parser, usage } from "../command.js";
import { type Context, type Live, settle } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { type MemoryArguments, memoryOptions, oneOf, ringsOf } from "./options.js";
import { passedBy, statisticsText } from "./report.js";
import { adopted } from "./run.js";

/** What a command takes whose socket is one of a measurement: the filter is the command's own. */
export interface BareArguments extends MemoryArguments {
  queue: number;
  mode: "auto" | "native" | "generic";
  copy: "auto" | "copy" | "zerocopy";
  fd?: number;
  stats?: true | number;
}

export function bareOptions(command: Command): Command {
  command
    .option("-q, --queue <n>", "queue of the interface", (text) => parseCount("queue", text, 0, 255), 0)
    .option("--mode <mode>", "auto, native or generic", oneOf("mode", ["auto", "native", "generic"]), "auto")
    .option("--copy <how>", "auto, copy or zerocopy", oneOf("way to copy", ["auto", "copy", "zerocopy"]), "auto")
    .option("--frames <n>", "frames of the UMEM", (text) => parseCount("number of frames", text), 4096);
  return memoryOptions(command)
    .option("--fd <n>", "use the socket that `xdpctl xsk open` has handed over", (text) =>
      parseCount("descriptor", text, 3, 1_000_000),
    )
    .option("--stats [interval]", "show where the packets went, every second or so", parser(parseDuration));
}

/** What the command wants of its socket, and of the packets that it sends. */
export type BareOptions = XskOptions & Pick<UmemOptions, "txMetadata">;

/** A socket, what is written while it works, and the facts that all JSON of a command begins with. */
export interface Bench {
  readonly nic: XskSocket;
  readonly live: Live;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** A line of text, or with `--json` the facts and what is given. */
  say(text: string, object: Readonly<Record<string, unknown>>): void;
}

/** Opens a socket for as long as `body` runs; `--stats` shows it at work. */
export async function withSocket(
  context: Context,
  name: string,
  given: BareArguments,
  options: BareOptions | (() => XskSocket),
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { signal, terminal } = context;
  // Signals are heard before there is anything to take away.
  const live = await context.live();
  let timer: NodeJS.Timeout | undefined;
  let nic: XskSocket | undefined;
  try {
    nic = typeof options === "function" ? options() : openBare(name, given, options);
    const socket = nic;
    const { queue } = nic;
    const facts = { interface: nic.interface, queue, mode: nic.mode ?? null, copy: nic.copy };
    const because = nic.fallback === undefined ? "" : ` (${nic.fallback})`;
    const how = nic.mode === undefined ? "" : `  ${nic.mode}${because}`;
    if (!terminal.jsonMode) terminal.note(`${name}  queue ${queue}${how}  ${nic.copy}`);
    const started = performance.now();
    const write: Bench["say"] = (text, object) =>
      live.write(terminal.jsonMode ? `${JSON.stringify({ ...facts, ...object })}\n` : `${text}\n`);
    const show = (): void => {
      const seconds = (performance.now() - started) / 1000;
      write(statisticsText(socket, seconds).join("\n"), { seconds, ...socket.statistics, passed: passedBy(socket) });
    };
    let ended = false;
    /** The last numbers stand before what is said last. */
    const end = (): void => {
      if (given.stats !== undefined && !ended) show();
      ended = true;
      clearInterval(timer);
    };
    const say: Bench["say"] = (text, object) => {
      if (object.last === true) end();
      write(text, object);
    };
    if (given.stats !== undefined) timer = setInterval(show, 1000 * (given.stats === true ? 1 : given.stats));
    await body({ nic, live, facts, signal, say });
    end();
    nic.close();
    await settle(live.drained(), signal);
  } finally {
    clearInterval(timer);
    nic?.umem.close();
    live.close();
  }
}

/** Frames that a socket which only sends lets wait for what doesn't come: few, and never more than half of them. */
export function sendersFill(frames: number): number {
  if (frames < 2) throw usage("one frame is the fill ring's, and none is left to send", "write --frames 2 or more");
  return Math.min(64, 2 ** Math.floor(Math.log2(frames / 2)));
}

function openBare(name: string, given: BareArguments, { txMetadata = false, ...options }: BareOptions): XskSocket {
  if (given.fd !== undefined) {
    if (txMetadata !== false)
      throw usage("a socket that was handed over has no TX metadata", "leave out --checksum and --timestamps");
    return adopted(name, given.fd);
  }
  const { queue, mode, copy, frameSize } = given;
  const rings = { ...options.rings, ...ringsOf(given) };
  const umem = Umem.create({ frameCount: given.frames, frameSize, checked: false, txMetadata });
  try {
    return XskSocket.open(umem, name, { queue, mode, copy, ...options, rings });
  } catch (error) {
    umem.close();
    throw error;
  }
}
