// SPDX-License-Identifier: MIT
import { type GenericAnswer, type GenericGroupName, type GenericNews, MOST_GROUPS, MOST_REQUESTS } from "./genl.js";
import { answerArguments, pushEvent } from "./genl-values.js";
import { fail, type LuaState, type TValue } from "./lua.js";
import type { ScriptFailure } from "./messages.js";
import { HOOK } from "./shared.js";

/** Calls a function of the script within its limits. */
export type Run = (hook: number, fn: TValue, args: readonly unknown[]) => ScriptFailure | undefined;

interface Hook {
  readonly fn: TValue;
  /** Told when the family goes, comes back, and when messages were lost. */
  readonly state: TValue | undefined;
}

// An answer to a script that was replaced must find nobody: numbers are never used again.
let lastRequest = 0;

const keyOf = ({ family, group }: GenericGroupName): string => `${family}/${group}`;

/** What one script has to do with generic netlink: the hooks on groups, and the requests that are not answered. */
export class GenericHooks {
  readonly #run: Run;
  readonly #log: (text: string) => void;
  readonly #hooks = new Map<string, { readonly name: GenericGroupName; readonly list: Hook[] }>();
  readonly #waiting = new Map<number, TValue | undefined>();

  constructor(run: Run, log: (text: string) => void) {
    this.#run = run;
    this.#log = log;
  }

  get groups(): GenericGroupName[] {
    return [...this.#hooks.values()].map(({ name }) => name);
  }

  /** As `policy check` and `policy ls` show them. */
  get names(): string[] {
    return [...this.#hooks.keys()].map((key) => `genl:${key}`);
  }

  add(L: LuaState, name: GenericGroupName, fn: TValue, state: TValue | undefined): void {
    const key = keyOf(name);
    let known = this.#hooks.get(key);
    if (known === undefined) {
      if (this.#hooks.size >= MOST_GROUPS) fail(L, `a script listens to at most ${MOST_GROUPS} groups`);
      known = { name, list: [] };
      this.#hooks.set(key, known);
    }
    known.list.push({ fn, state });
  }

  /** The number of a new request, whose answer goes to `fn`. */
  open(L: LuaState, fn: TValue | undefined): number {
    if (this.#waiting.size >= MOST_REQUESTS) fail(L, `${MOST_REQUESTS} requests wait for their answers already`);
    this.#waiting.set(++lastRequest, fn);
    return lastRequest;
  }

  news(news: GenericNews): ScriptFailure[] {
    const failures: ScriptFailure[] = [];
    for (const { fn, state } of this.#hooks.get(keyOf(news))?.list ?? []) {
      let failure: ScriptFailure | undefined;
      if (news.type === "message") failure = this.#run(HOOK.genl, fn, [(L: LuaState) => pushEvent(L, news)]);
      else if (state !== undefined) failure = this.#run(HOOK.genl, state, [news.state, news.count]);
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  answer(id: number, answer: GenericAnswer): ScriptFailure | undefined {
    if (!this.#waiting.has(id)) return undefined;
    const fn = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (fn !== undefined) return this.#run(HOOK.call, fn, answerArguments(answer));
    // Nobody asked to be told, but a failure is not to pass unseen.
    if ("problem" in answer) this.#log(answer.problem.message);
    return undefined;
  }
}
