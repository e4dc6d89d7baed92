// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Lab, LinkEndState, LinkPlaces } from "../../lab/index.js";
import { group, leaf, parser } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import type { Terminal } from "../terminal.js";
import { ranInGuest } from "./in-guest.js";
import { openRoom, selectLab } from "./select.js";

interface LinkFlags {
  lab?: string;
}

const WHICH = "one end, `machine:interface` or `bridge:port`, or both: `client:eth0--br-lan`";

/** Undefined where all is done: the lab is in a guest. */
async function find(text: string, { lab }: LinkFlags): Promise<{ lab: Lab; link: LinkPlaces } | undefined> {
  const room = await openRoom();
  const name = selectLab(room, lab);
  if (await ranInGuest(room, name)) return undefined;
  const { findLink } = await import("../../lab/index.js");
  const opened = room.Lab.open(name);
  return { lab: opened, link: findLink(opened, text) };
}

function endText({ name, up, carrier }: LinkEndState): string {
  return `${name} ${up ? (carrier ? "up" : "up, no carrier") : "down"}`;
}

function show(terminal: Terminal, ends: readonly LinkEndState[]): void {
  terminal.line(ends.map(endText).join("; "));
}

export function registerLink(parent: Command, context: Context): void {
  const { terminal } = context;
  const link = group(parent, "link", "take a link down, and up again", [
    ["xdpctl lab link down client:eth0", "the machine's end: its other end has no carrier"],
    ["xdpctl lab link up client:eth0", "with the addresses and routes of the lab's file"],
    ["xdpctl lab link flap client:eth0--br-lan --for 200ms --times 5", "both ends, five times"],
  ]);
  for (const verb of ["up", "down"] as const) {
    const what = verb === "up" ? "set a link up" : "set a link down";
    leaf(link, `${verb} <link>`, `${what}: ${WHICH}`, [
      [`xdpctl lab link ${verb} client:eth0`, "one end"],
      [`xdpctl lab link ${verb} client:eth0--br-lan`, "both ends"],
      [`xdpctl lab link ${verb} br-lan:client.eth0`, "the bridge's end: as if the cable were pulled at the switch"],
    ])
      .option("-l, --lab <name>", "the lab's name")
      .action(async (text: string, flags: LinkFlags) => {
        const { setLink } = await import("../../lab/index.js");
        const found = await find(text, flags);
        if (found === undefined) return;
        const { lab, link } = found;
        const ends = setLink(lab, link, verb === "up");
        show(terminal, ends);
        terminal.json({ lab: lab.name, link: link.name, ends });
      });
  }
  leaf(link, "flap <link>", `take a link down and up again: ${WHICH}`, [
    ["xdpctl lab link flap client:eth0", "down for a second, once"],
    ["xdpctl lab link flap client:eth0 --for 200ms --times 5", "down 200 ms, up 200 ms, five times"],
  ])
    .option("-l, --lab <name>", "the lab's name")
    .option("--for <duration>", "how long it is down, and up in between; a second by default", parser(parseDuration), 1)
    .option("--times <n>", "how often", (text) => parseCount("count", text), 1)
    .action(async (text: string, flags: LinkFlags & { for: number; times: number }) => {
      const { flapLink } = await import("../../lab/index.js");
      const found = await find(text, flags);
      if (found === undefined) return;
      const { lab, link } = found;
      const { signal } = context;
      const onChange = (ends: LinkEndState[]): void => show(terminal, ends);
      const done = await flapLink(lab, link, { down: flags.for * 1000, times: flags.times, signal, onChange });
      terminal.json({ lab: lab.name, link: link.name, times: done });
    });
}
