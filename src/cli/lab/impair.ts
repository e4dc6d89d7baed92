// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { didYouMean } from "../../errors/index.js";
import type { ImpairedEnd, ImpairmentChange, ImpairmentKey } from "../../lab/index.js";
import { leaf, usage } from "../command.js";
import type { Terminal } from "../terminal.js";
import { ranInGuest } from "./in-guest.js";
import { openRoom, selectLab } from "./select.js";

type Room = Awaited<ReturnType<typeof openRoom>>;

const ACTIONS = ["show", "on", "off", "reset"] as const;
type Action = (typeof ACTIONS)[number];

/** `client:eth0 -- br-lan rate=10mbit delay=20ms`: the ends, and what to do with them. */
function parseWords(room: Room, words: readonly string[]): { names: string[]; change: ImpairmentChange | undefined } {
  const names: string[] = [];
  const set: Partial<Record<ImpairmentKey, number | undefined>> = {};
  let action: Action | undefined;
  // A link in quotes is one word; without, the shell makes three of it, and `--` is gone.
  for (const word of words.flatMap((text) => text.trim().split(/\s+/))) {
    const at = word.indexOf("=");
    if (at >= 0) {
      const key = word.slice(0, at);
      if (!isKey(room, key)) {
        const hint = didYouMean(key, room.IMPAIRMENT_KEYS) || `: there are ${room.IMPAIRMENT_KEYS.join(", ")}`;
        throw usage(`a link has no ${JSON.stringify(key)} to set${hint}`);
      }
      set[key] = room.parseImpairment(key, word.slice(at + 1));
    } else if ((ACTIONS as readonly string[]).includes(word)) {
      if (action !== undefined) throw usage(`${action} and ${word} can't be done at once`);
      action = word as Action;
    } else if (word !== "--") names.push(word);
  }
  if (names.length > 2) throw usage(`a link has two ends, not ${names.length}: ${names.join(", ")}`);
  const settings = Object.keys(set).length > 0;
  if (settings && action !== undefined) throw usage(`settings and ${action} can't be given at once`);
  if (settings) return { names, change: { set } };
  if (action === undefined || action === "show") return { names, change: undefined };
  return { names, change: action === "reset" ? { reset: true } : { on: action === "on" } };
}

function isKey(room: Room, key: string): key is ImpairmentKey {
  return (room.IMPAIRMENT_KEYS as readonly string[]).includes(key);
}

function row(room: Room, one: ImpairedEnd): (string | number | null)[] {
  const cell = (key: ImpairmentKey): string | null => {
    const value = one.state === "on" ? one[key] : (one.settings[key] ?? null);
    return value === null || (value === 0 && key !== "limit") ? null : room.impairmentText(key, value);
  };
  const keys = ["rate", "delay", "jitter", "loss", "burst", "limit"] as const;
  const counts = one.state === "on" ? [one.sent.packets, one.dropped] : [null, null];
  return [one.end, one.to, one.state === "none" ? null : one.state, ...keys.map(cell), ...counts];
}

export function registerImpair(lab: Command, terminal: Terminal): void {
  leaf(lab, "impair [words...]", "slow a link down, delay or lose its packets; without settings, show them", [
    ['xdpctl lab impair "client:eth0 -- br-lan" rate=10mbit', "both directions"],
    ["xdpctl lab impair client:eth0 rate=2mbit limit=32k", "only what the client sends; other settings stay"],
    ["xdpctl lab impair client:eth0 delay=20ms jitter=5ms loss=0.5%", "where the machine's kernel has netem"],
    ["xdpctl lab impair client:eth0 rate=none", "one setting less"],
    ["xdpctl lab impair client:eth0 off", "the settings stay known: `on` brings them back"],
    ["xdpctl lab impair client:eth0 reset", "nothing is wrong with it any more"],
    ["xdpctl lab impair", "all links, with what the kernel counted"],
  ])
    .usage("[LINK] [rate=… delay=… jitter=… loss=… limit=… burst=… | show | on | off | reset] [options]")
    .option("-l, --lab <name>", "the lab's name")
    .action(async (words: string[], options: { lab?: string }) => {
      const room = await openRoom();
      const { names, change } = parseWords(room, words);
      if (change !== undefined && names.length === 0 && !("reset" in change)) {
        throw usage("which link?", "`NODE:IF` is what one end sends, `A:IF -- B:IF` both directions");
      }
      const name = selectLab(room, options.lab);
      if (await ranInGuest(room, name)) return;
      const ends = change === undefined ? room.impairments(name, names) : room.impair(name, names, change);
      const titles = ["FROM", "TO", "STATE", "RATE", "DELAY", "JITTER", "LOSS", "BURST", "LIMIT", "SENT", "DROPPED"];
      terminal.table(
        titles.map((title) => (["SENT", "DROPPED"].includes(title) ? { title, align: "right" as const } : { title })),
        ends.map((one) => row(room, one)),
      );
      terminal.json({ lab: name, ends });
    });
}
