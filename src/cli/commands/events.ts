// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { EVENT_TYPES, type EventType, type XdpctlEvent } from "../../events/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { EventQueue } from "../eventqueue.js";
import { eventLine } from "../eventtext.js";
import { parseCount, parseDuration } from "../quantities.js";
import { visibleLines } from "../table.js";

const FLAGS = ["flow", "deny", "rate", "malformed", "link", "xdp", "policy"] as const;

type EventOptions = Partial<Record<(typeof FLAGS)[number], boolean>> & {
  type?: EventType[];
  interface?: string;
  count?: number;
  for?: number;
};

function parseTypes(text: string): EventType[] {
  return text.split(",").map((word) => {
    const type = EVENT_TYPES.find((known) => known === word.trim());
    if (type !== undefined) return type;
    throw usage(`${JSON.stringify(word)} is no type of event${didYouMean(word, EVENT_TYPES)}`, EVENT_TYPES.join(", "));
  });
}

/** The types that were asked for; undefined is all. */
function wanted(options: EventOptions): EventType[] | undefined {
  const types = new Set<EventType>(options.type ?? []);
  for (const flag of FLAGS) if (options[flag] === true) types.add(flag);
  return types.size === 0 ? undefined : [...types];
}

interface StreamOptions {
  interface?: string;
  count?: number;
  seconds?: number;
  /** What is done first, its events shown; `line` shows its own text among them, in the order of both. */
  begin?(line: (text: string, json: unknown) => void): Promise<void>;
  /** What is done last, its events shown. */
  end?(): Promise<void>;
}

/** Streams events until one of: the signal, `count` of them, `seconds`, the controller's end. */
export async function stream(context: Context, types: EventType[] | undefined, options: StreamOptions): Promise<void> {
  const { signal } = context;
  const backend = await context.backend();
  const live = await context.live();
  const json = context.terminal.jsonMode;
  const queue = new EventQueue(live, json ? (event) => JSON.stringify(event) : eventLine);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  let enough: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    enough = resolve;
  });
  let exited = false;
  let begins = options.begin !== undefined;
  const seen = (event: XdpctlEvent): void => {
    if (left <= 0) return;
    // A line of what begins tells this already.
    if (begins && event.type === "policy" && event.action === "load") return;
    exited ||= event.type === "exit";
    const asked = types === undefined || types.includes(event.type);
    // Loss is always shown, whatever was asked for.
    if (!asked && event.type !== "lost") return;
    queue.push(event);
    if (asked && --left <= 0) enough();
  };
  const params = {
    ...(types === undefined ? {} : { types: [...new Set<EventType>([...types, "lost", "exit"])] }),
    ...(options.interface === undefined ? {} : { interface: options.interface }),
  };
  const subscription = await backend.subscribe("events", params, seen).catch((error: unknown) => {
    live.close();
    throw error;
  });
  let timer: Disposable | undefined;
  let ended: boolean | undefined;
  try {
    try {
      await options.begin?.((text, value) => {
        queue.push(json ? JSON.stringify(value) : visibleLines(text));
      });
    } catch (error) {
      await settle(queue.settled(), signal);
      throw error;
    }
    begins = false;
    if (options.seconds !== undefined) timer = (await context.loop()).after(options.seconds * 1000, enough);
    ended = await Promise.race([
      done.then(() => false),
      aborted(signal).then(() => false),
      subscription.ended.then(() => true),
    ]);
    await options.end?.();
    subscription.close();
    await settle(queue.settled(), signal);
  } finally {
    timer?.[Symbol.dispose]();
    subscription.close();
    queue.close();
    live.close();
  }
  if (ended && !exited) {
    throw new XdpctlError("XDPCTL_E_DISCONNECTED", "the controller went away without a word");
  }
}

export function register(program: Command, context: Context): void {
  const command = leaf(program, "events", "what happens, as it happens; ends with Ctrl-C", [
    ["xdpctl events", "everything"],
    ["xdpctl events --deny --rate", "what the guard drops"],
    ["xdpctl events --type flow,deny --interface eth1 --json", "one JSON object a line"],
    ["xdpctl events --flow --count 10 --for 30s", "ten flows, or half a minute"],
  ]);
  for (const flag of FLAGS) command.option(`--${flag}`, `${flag} events`);
  command
    .option("-t, --type <list>", `types, separated by commas: ${EVENT_TYPES.join(", ")}`, parser(parseTypes))
    .option("-i, --interface <if>", "only of this interface", parser(interfaceName))
    .option("-n, --count <n>", "end after N events", (text) => parseCount("count", text))
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .action(async (options: EventOptions) => {
      if (context.kind === "script" && options.count === undefined && options.for === undefined) {
        throw usage("in a script, `events` needs an end", "write --count N or --for DURATION");
      }
      await stream(context, wanted(options), {
        ...(options.interface === undefined ? {} : { interface: options.interface }),
        ...(options.count === undefined ? {} : { count: options.count }),
        ...(options.for === undefined ? {} : { seconds: options.for }),
      });
    });
}
