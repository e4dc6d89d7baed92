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

/** The controller's end of what a script has to do with generic netlink. Never waits: what finds no room is counted. */
export class GenericFeed {
  readonly #options: FeedOptions;
  #groups = "";
  readonly #missed = new Map<string, number>();

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** The groups that the script listens to now; none when its worker ends. */
  listen(groups: readonly GenericGroupName[]): void {
    const key = groups.map(({ family, group }) => `${family}/${group}`).join();
    if (key === this.#groups) return;
    this.#groups = key;
    this.#missed.clear();
    const { access, log } = this.#options;
    if (access !== undefined) access.listen(groups, (news) => this.#news(news));
    else if (groups.length > 0) log("generic netlink can't be heard from here");
  }

  #news(news: GenericNews): void {
    const { send, dropped, log } = this.#options;
    const { family, group } = news;
    const key = `${family}/${group}`;
    const missed = this.#missed.get(key) ?? 0;
    if (
      missed > 0 &&
      send({ type: "genl", news: { type: "state", state: "lost", count: missed, family, group } }, MOST_NEWS)
    ) {
      this.#missed.delete(key);
      log(`${missed} messages of ${key} were lost: the script was too slow for them`);
    }
    if (send({ type: "genl", news }, MOST_NEWS) !== false) return;
    this.#missed.set(key, (this.#missed.get(key) ?? 0) + (news.type === "state" ? news.count : 1));
    dropped();
  }

  answer(request: Extract<FromWorker, { type: "genl" }>): void {
    // The script waits for a bounded number of answers: there is always room for them.
    this.#options.send(answerGeneric(request, this.#options.access), Number.POSITIVE_INFINITY);
  }
}
