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

const MORE = ["duplicate", "corrupt", "reorder"] as const;

/** A setting as it is shown: what is in force, else what was asked for. */
function cell(room: Room, one: ImpairedEnd, key: ImpairmentKey): string | null {
  const value = one.state === "on" ? one[key] : (one.settings[key] ?? null);
  return value === null || (value === 0 && key !== "limit") ? null : room.impairmentText(key, value);
}

/** As tc(8) writes it: `5ms 25%`. */
function correlated(room: Room, one: ImpairedEnd, key: "jitter" | "loss"): string | null {
  const words = [cell(room, one, key), cell(room, one, `${key}-correlation`)].filter((word) => word !== null);
  return words.length === 0 ? null : words.join(" ");
}

function more(room: Room, one: ImpairedEnd): string | null {
  const words = MORE.flatMap((key) => {
    const value = cell(room, one, key);
    return value === null ? [] : `${key} ${value}`;
  });
  return words.length === 0 ? null : words.join(", ");
}

function printTable(room: Room, terminal: Terminal, ends: readonly ImpairedEnd[]): void {
  // Rare, and wide: a column only where somebody has it.
  const last = ends.some((one) => more(room, one) !== null);
  const titles = ["FROM", "TO", "STATE", "RATE", "DELAY", "JITTER", "LOSS", ...(last ? ["MORE"] : [])];
  terminal.table(
    [...titles, "BURST", "LIMIT", "SENT", "DROPPED"].map((title) =>
      ["SENT", "DROPPED"].includes(title) ? { title, align: "right" as const } : { title },
    ),
    ends.map((one) => [
      ...[one.end, one.to, one.state === "none" ? null : one.state],
      ...[cell(room, one, "rate"), cell(room, one, "delay")],
      ...[correlated(room, one, "jitter"), correlated(room, one, "loss"), ...(last ? [more(room, one)] : [])],
      ...[cell(room, one, "burst"), cell(room, one, "limit")],
      ...(one.state === "on" ? [one.sent.packets, one.dropped] : [null, null]),
    ]),
  );
}

export function registerImpair(lab: Command, terminal: Terminal): void {
  leaf(lab, "impair [words...]", "slow a link down, delay or lose its packets; without settings, show them", [
    ['xdpctl lab impair "client:eth0 -- br-lan" rate=10mbit', "both directions"],
    ["xdpctl lab impair client:eth0 rate=2mbit limit=32k", "only what the client sends; other settings stay"],
    ["xdpctl lab impair client:eth0 delay=20ms jitter=5ms loss=0.5%", "where the machine's kernel has netem"],
    ["xdpctl lab impair client:eth0 loss=1% loss-correlation=25%", "losses that come together"],
    ["xdpctl lab impair client:eth0 rate=none", "one setting less"],
    ["xdpctl lab impair client:eth0 off", "the settings stay known: `on` brings them back"],
    ["xdpctl lab impair client:eth0 reset", "nothing is wrong with it any more"],
    ["xdpctl lab impair", "all links, with what the kernel counted"],
  ])
    .usage("[LINK] [rate=… delay=… jitter=… loss=… duplicate=… … | show | on | off | reset] [options]")
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
      printTable(room, terminal, ends);
      terminal.json({ lab: name, ends });
    });
}
