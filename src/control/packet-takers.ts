// SPDX-License-Identifier: MIT
import type { LoopHandle } from "../loop/index.js";
import type { FrameView } from "../packet/index.js";
import { PACKET_VERDICT, type PacketFeed, type PacketFilter, PacketMatch } from "../policy/index.js";

/** A filter, ready to be compared with frames. */
export interface PacketAsk {
  readonly filter: PacketFilter;
  readonly match: PacketMatch;
}

/** Different things that a policy is told: scripts choose the interfaces of which they tell. */
const MOST_TOLD = 100;

/** A policy that asks for packets, or did: then it is there until all that it was shown is answered. */
export interface Listener {
  readonly policy: string;
  readonly feed: PacketFeed;
  /** Its place among the policies. */
  readonly order: number;
  asks: readonly PacketAsk[];
  readonly watch: LoopHandle;
  /** What it was told of interfaces: the same is not told again. */
  readonly told: Set<string>;
}

export function compileFilters(filters: readonly PacketFilter[]): PacketAsk[] {
  return filters.map((filter) => ({ filter, match: new PacketMatch(filter) }));
}

/** What a policy asks of an interface; of one with somebody's own program, only by its name. */
export function asksOf({ asks }: Listener, name: string, own = false): PacketAsk[] {
  return asks.filter(({ filter }) => filter.interface === name || (!own && filter.interface === undefined));
}

/** Whether the policy was not told of this before. */
export function isNews({ told }: Listener, line: string): boolean {
  if (told.size >= MOST_TOLD || told.has(line)) return false;
  told.add(line);
  return true;
}

/** A policy that sees packets of an interface: those that it asked for. */
export class PacketTaker {
  readonly feed: PacketFeed;
  /** Its place among the policies: they see a packet one after the other. */
  readonly order: number;
  readonly #matches: readonly PacketMatch[];

  constructor(feed: PacketFeed, order: number, asks: readonly PacketAsk[]) {
    this.feed = feed;
    this.order = order;
    this.#matches = asks.map(({ match }) => match);
  }

  /** -1 where it did not ask for the frame; else what becomes of it when the policy fails: drop, where one filter says so. */
  fallback(frame: FrameView): number {
    const matches = this.#matches;
    let found = -1;
    for (let i = 0; i < matches.length; i++) {
      const match = matches[i] as PacketMatch;
      if (!match.matches(frame)) continue;
      if (match.onError === "drop") return PACKET_VERDICT.drop;
      found = PACKET_VERDICT.pass;
    }
    return found;
  }
}
