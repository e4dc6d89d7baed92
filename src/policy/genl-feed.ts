// SPDX-License-Identifier: MIT
import { answerGeneric, type GenericAccess, type GenericGroupName, type GenericNews, MOST_NEWS } from "./genl.js";
import type { FromWorker, ToWorker } from "./messages.js";

export interface FeedOptions {
  readonly access: GenericAccess | undefined;
  /** Sends to the worker, unless `most` messages wait for it already. */
  send(message: ToWorker, most: number): boolean | undefined;
  log(text: string): void;
  /** A message found no room. */
  dropped(): void;
}

interface Missed extends GenericGroupName {
  count: number;
}

/** How often a script that was too slow is told of what it missed, until that finds room. */
const RETRY_MS = 100;

/** The controller's end of what a script has to do with generic netlink. Never waits: what finds no room is counted. */
export class GenericFeed {
  readonly #options: FeedOptions;
  #groups = "";
  readonly #missed = new Map<string, Missed>();
  #retry: NodeJS.Timeout | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** The groups that the script listens to now; none when its worker ends. */
  listen(groups: readonly GenericGroupName[]): void {
    const key = groups.map(keyOf).join();
    if (key === this.#groups) return;
    this.#groups = key;
    this.#missed.clear();
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const { access, log } = this.#options;
    if (access !== undefined) access.listen(groups, (news) => this.#news(news));
    else if (groups.length > 0) log("generic netlink can't be heard from here");
  }

  #news(news: GenericNews): void {
    const { send, dropped } = this.#options;
    // What comes after a loss comes after the word of it, too.
    if (this.#tellMissed(news) && send({ type: "genl", news }, MOST_NEWS) !== false) return;
    const { family, group } = news;
    const missed = this.#missed.get(keyOf(news)) ?? { family, group, count: 0 };
    missed.count += news.type === "state" ? news.count : 1;
    this.#missed.set(keyOf(news), missed);
    this.#later();
    dropped();
  }

  /** Whether the script knows of all that it missed of a group. */
  #tellMissed(name: GenericGroupName): boolean {
    const missed = this.#missed.get(keyOf(name));
    if (missed === undefined) return true;
    const news = { type: "state", state: "lost", ...missed } as const;
    // A half of the room, so that it is not told again and again.
    if (this.#options.send({ type: "genl", news }, MOST_NEWS / 2) === false) return false;
    this.#missed.delete(keyOf(name));
    return true;
  }

  #later(): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      for (const missed of [...this.#missed.values()]) if (!this.#tellMissed(missed)) this.#later();
    }, RETRY_MS);
    this.#retry.unref();
  }

  answer(request: Extract<FromWorker, { type: "genl" }>): void {
    // The script waits for a bounded number of answers: there is always room for them.
    this.#options.send(answerGeneric(request, this.#options.access), Number.POSITIVE_INFINITY);
  }
}

function keyOf({ family, group }: GenericGroupName): string {
  return `${family}/${group}`;
}
