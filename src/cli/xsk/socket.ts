// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { Umem, type UmemOptions, type XskOptions, XskSocket } from "../../xsk/index.js";
import { parser, usage } from "../command.js";
import { type Context, type Live, settle } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { oneOf } from "./options.js";
import { passedBy, statisticsText } from "./report.js";
import { adopted } from "./run.js";

/** What a command takes whose socket is one of a measurement: the filter is the command's own. */
export interface BareArguments {
  queue: number;
  mode: "auto" | "native" | "generic";
  copy: "auto" | "copy" | "zerocopy";
  frames: number;
  ring: number;
  fd?: number;
  stats?: true | number;
}

export function bareOptions(command: Command): Command {
  return command
    .option("-q, --queue <n>", "queue of the interface", (text) => parseCount("queue", text, 0, 255), 0)
    .option("--mode <mode>", "auto, native or generic", oneOf("mode", ["auto", "native", "generic"]), "auto")
    .option("--copy <how>", "auto, copy or zerocopy", oneOf("way to copy", ["auto", "copy", "zerocopy"]), "auto")
    .option("--frames <n>", "frames of the UMEM", (text) => parseCount("number of frames", text), 4096)
    .option("--ring <n>", "descriptors of each ring, a power of two", (text) => parseCount("ring size", text), 2048)
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
    const say: Bench["say"] = (text, object) =>
      live.write(terminal.jsonMode ? `${JSON.stringify({ ...facts, ...object })}\n` : `${text}\n`);
    const show = (): void => {
      const seconds = (performance.now() - started) / 1000;
      say(statisticsText(socket, seconds).join("\n"), { seconds, ...socket.statistics, passed: passedBy(socket) });
    };
    if (given.stats !== undefined) timer = setInterval(show, 1000 * (given.stats === true ? 1 : given.stats));
    await body({ nic, live, facts, signal, say });
    if (given.stats !== undefined) show();
    nic.close();
    await settle(live.drained(), signal);
  } finally {
    clearInterval(timer);
    nic?.umem.close();
    live.close();
  }
}

function openBare(name: string, given: BareArguments, { txMetadata = false, ...options }: BareOptions): XskSocket {
  if (given.fd !== undefined) {
    if (txMetadata !== false)
      throw usage("a socket that was handed over has no TX metadata", "leave out --checksum and --timestamps");
    return adopted(name, given.fd);
  }
  const { queue, mode, copy, ring } = given;
  const rings = { rx: ring, tx: ring, completion: ring, ...options.rings };
  const umem = Umem.create({ frameCount: given.frames, checked: false, txMetadata });
  try {
    return XskSocket.open(umem, name, { queue, mode, copy, ...options, rings });
  } catch (error) {
    umem.close();
    throw error;
  }
}
