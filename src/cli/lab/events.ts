// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { LabEvent } from "../../events/index.js";
import { leaf, parser } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { EventQueue } from "../eventqueue.js";
import { labEventLine } from "../eventtext.js";
import { parseCount, parseDuration } from "../quantities.js";
import { ranInGuest } from "./in-guest.js";
import { openRoom, selectLab } from "./select.js";

interface EventFlags {
  lab?: string;
  count?: number;
  for?: number;
}

export function registerEvents(parent: Command, context: Context): void {
  leaf(parent, "events [name]", "what happens in a lab, as it happens; ends with Ctrl-C, or with the lab", [
    ["xdpctl lab events", "machines, links, carriers and programs that come and go"],
    ["xdpctl lab events two --json", "of the lab `two`, one JSON object a line"],
    ["xdpctl lab events --count 1 --for 10s", "the next one, waited for ten seconds"],
  ])
    .option("-l, --lab <name>", "the lab's name")
    .option("-n, --count <n>", "end after N events", (text) => parseCount("count", text))
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .action(async (name: string | undefined, flags: EventFlags) => {
      const room = await openRoom();
      const chosen = selectLab(room, name ?? flags.lab);
      if (await ranInGuest(room, chosen)) return;
      const { LabEvents } = await import("../../lab/index.js");
      const lab = room.Lab.open(chosen);
      const { signal, terminal } = context;
      const live = await context.live();
      const loop = await context.loop();
      const json = terminal.jsonMode;
      const queue = new EventQueue(live, (lost) => (json ? JSON.stringify(lost) : "… events were dropped"));
      let left = flags.count ?? Number.POSITIVE_INFINITY;
      let enough: () => void = () => {};
      const done = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const seen = (event: LabEvent): void => {
        if (left <= 0) return;
        queue.push(json ? JSON.stringify(event) : labEventLine(event));
        if (--left <= 0) enough();
      };
      const onBlind = (machine: string, why: string): void =>
        terminal.note(`${machine}: what happens in its guest can't be watched: ${why}`);
      const events = new LabEvents(loop, lab, seen, enough, { onBlind });
      let timer: { close(): void } | undefined;
      try {
        await Promise.race([events.ready(), done, aborted(signal)]);
        if (flags.for !== undefined) timer = loop.after(flags.for * 1000, enough);
        terminal.note(`watching the lab ${lab.name}: ${lab.nodes.join(", ")}`);
        await Promise.race([done, aborted(signal)]);
        // The namespaces of a lab that goes down wait for us.
        events.close();
        await settle(queue.settled(), signal);
      } finally {
        timer?.close();
        events.close();
        queue.close();
        live.close();
      }
    });
}
