// SPDX-License-Identifier: MIT
import { isatty } from "node:tty";
import type { Command } from "commander";
import type { Frame } from "../../lab/index.js";
import { leaf, parser, usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { captureFromGuest } from "./capture-in-guest.js";
import { CaptureOutput } from "./capture-output.js";
import { ranInGuest } from "./in-guest.js";
import { openRoom, selectLab } from "./select.js";

interface CaptureFlags {
  lab?: string;
  write?: string;
  count?: number;
  filter?: string;
  for?: number;
}

/** The kernel hands packets on at most so many milliseconds after they came. */
const RING_DELAY_MS = 25;

export function registerCapture(parent: Command, context: Context): void {
  leaf(parent, "capture <place>", "packets of a machine's interface, a link or a bridge; ends with Ctrl-C", [
    ["xdpctl lab capture client:eth0", "a line for each packet"],
    ["xdpctl lab capture client:eth0 -w client.pcapng --count 100", "for Wireshark and tcpdump"],
    ["xdpctl lab capture br-lan --filter 'icmp and host 192.168.5.100'", "in tcpdump's language"],
    ["xdpctl lab capture xdp:eth0--br-wan -w - | wireshark -k -i -", "live; of a link its first end"],
  ])
    .option("-l, --lab <name>", "the lab's name")
    .option("-w, --write <file>", "write pcapng to a file, or to standard output (`-`)")
    .option("-n, --count <n>", "end after N packets", (text) => parseCount("count", text))
    .option("-f, --filter <expression>", "only packets that this matches, in tcpdump's language (libpcap)")
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .action(async (place: string, flags: CaptureFlags) => capture(place, flags, context));
}

/** Those that say which packets, as they are written. */
function sameFlags({ count, filter, for: seconds }: CaptureFlags): string[] {
  return [
    ...(count === undefined ? [] : ["--count", String(count)]),
    ...(filter === undefined ? [] : ["--filter", filter]),
    ...(seconds === undefined ? [] : ["--for", String(seconds)]),
  ];
}

async function capture(target: string, flags: CaptureFlags, context: Context): Promise<void> {
  if (flags.write === "-" && isatty(1)) throw usage("pcapng is no text for a terminal", "`-w FILE`, or a pipe");
  const room = await openRoom();
  const { captureAt, findPlace, watchLab } = await import("../../lab/index.js");
  const { terminal, signal } = context;
  const name = selectLab(room, flags.lab);
  if (flags.write !== undefined && flags.write !== "-") {
    const inGuest = room.GuestLab.find(name);
    if (inGuest !== undefined) return captureFromGuest(inGuest, target, sameFlags(flags), flags.write, context);
  } else if (await ranInGuest(room, name)) return;
  const lab = room.Lab.open(name);
  const place = findPlace(lab, target);
  const loop = await context.loop();
  const live = await context.live();
  const form = flags.write !== undefined ? "pcapng" : terminal.jsonMode ? "json" : "text";
  const source = { lab: lab.name, place: place.name, ...(flags.filter === undefined ? {} : { filter: flags.filter }) };
  const held: { close(): void }[] = [live];
  try {
    const output = new CaptureOutput(live, form, source, flags.write);
    held.unshift(output.sink);
    let enough: (why: string) => void = () => {};
    const done = new Promise<string>((resolve) => {
      enough = resolve;
    });
    output.sink.onTrouble = () => enough("");
    const wanted = flags.count ?? Number.POSITIVE_INFINITY;
    let packets = 0;
    const taken = (frame: Frame): void => {
      if (packets >= wanted) return;
      output.write(frame);
      if (++packets >= wanted) enough("");
    };
    const capture = captureAt(loop, place, flags.filter, taken, {
      onEnd: () => enough(`${place.name} went down`),
      // What the reader does not take waits in the ring; what does not fit there, the kernel drops and counts.
      onBatch: () => {
        output.flush();
        if (!output.sink.full) return;
        capture.pause();
        void live.drained().then(() => capture.resume());
      },
    });
    held.unshift(capture);
    held.unshift(watchLab(lab, (state) => state ?? enough(`the lab ${lab.name} is gone`)));
    terminal.note(`capturing at ${place.name}`);
    if (flags.for !== undefined) held.unshift(loop.after(flags.for * 1000, () => enough("")));
    const why = await Promise.race([done, aborted(signal).then(() => "")]);
    output.sink.check();
    if (packets < wanted) {
      await new Promise((resolve) => setTimeout(resolve, RING_DELAY_MS));
      capture.drain();
    }
    const { dropped } = capture.counts;
    output.finish({ packets, dropped });
    await settle(live.drained(), signal);
    output.sink.check();
    terminal.note(`${why === "" ? "" : `${why}: `}${packets} ${packets === 1 ? "packet" : "packets"}, ${dropped} lost`);
    if (flags.write !== undefined && flags.write !== "-") {
      terminal.json({ lab: lab.name, at: place.name, file: flags.write, packets, lost: dropped });
    }
  } finally {
    for (const one of held) one.close();
  }
}
