// SPDX-License-Identifier: MIT
import type { FrameView } from "../packet/index.js";
import { PACKET_VERDICT, type PacketFeed, type PacketFilter, PacketMatch } from "../policy/index.js";

/** A filter, ready to be compared with frames. */
export interface PacketAsk {
  readonly filter: PacketFilter;
  readonly match: PacketMatch;
}

export function compileFilters(filters: readonly PacketFilter[]): PacketAsk[] {
  return filters.map((filter) => ({ filter, match: new PacketMatch(filter) }));
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
