// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type GenericMessage, readFamilyName } from "../netlink/index.js";
import type { GenericGroupName, GenericNews } from "../policy/index.js";
import type { GenericSource } from "./generic-source.js";

/** A policy that listens to groups. */
export interface GenericListener {
  news(news: GenericNews): void;
  log(text: string): void;
}

interface Heard extends GenericGroupName {
  readonly listeners: Set<GenericListener>;
  /** Undefined while the family, or its group, is not there. */
  monitor: Disposable | undefined;
  family: string;
  group: string;
}

/** Longer messages are counted as lost: they would wait in memory. */
const LONGEST = 65_536;
const CONTROL = { family: "nlctrl", group: "notify" } as const;
/** CTRL_CMD_DELFAMILY of linux/genetlink.h. */
const DELETED = 2;

/**
 * The multicast groups that policies listen to, each on one socket on the controller's loop. A group whose family is not
 * there is waited for: the family `nlctrl` tells of families that come and go.
 */
export class GenericGroups implements Disposable {
  readonly #source: GenericSource;
  readonly #lost: (name: string) => void;
  readonly #heard = new Map<string, Heard>();
  #control: Disposable | undefined;

  /** `lost`: the kernel had to drop messages of a group, at least one. */
  constructor(source: GenericSource, lost: (name: string) => void) {
    this.#source = source;
    this.#lost = lost;
  }

  /** The groups that a listener wants from now on: all of them. */
  listen(listener: GenericListener, groups: readonly GenericGroupName[]): void {
    const wanted = new Set(groups.map(keyOf));
    for (const [key, heard] of this.#heard) {
      if (wanted.has(key) || !heard.listeners.delete(listener) || heard.listeners.size > 0) continue;
      this.#heard.delete(key);
      heard.monitor?.[Symbol.dispose]();
    }
    for (const name of groups) this.#add(listener, name);
    if (this.#heard.size > 0) return;
    this.#control?.[Symbol.dispose]();
    this.#control = undefined;
  }

  #add(listener: GenericListener, { family, group }: GenericGroupName): void {
    const key = keyOf({ family, group });
    const known = this.#heard.get(key);
    if (known?.listeners.has(listener) === true) return;
    const heard: Heard = known ?? { family, group, listeners: new Set(), monitor: undefined };
    heard.listeners.add(listener);
    this.#heard.set(key, heard);
    this.#follow();
    const missing = heard.monitor === undefined ? this.#open(heard) : undefined;
    if (missing !== undefined) listener.log(`${missing}: the hook waits for it`);
  }

  /** Hears of families that come and go, before it is asked which there are. */
  #follow(): void {
    if (this.#control !== undefined) return;
    const family = this.#source.find(CONTROL.family);
    if (family === undefined) return;
    this.#control = this.#source.monitor(family, CONTROL.group, {
      message: (message) => this.#changed(message),
      lost: () => {
        this.#lost(keyOf(CONTROL));
        // Which ones is not known: all are opened anew.
        for (const heard of this.#heard.values()) this.#reopen(heard);
      },
    });
  }

  #changed(message: GenericMessage): void {
    const name = readFamilyName(message);
    for (const heard of this.#heard.values()) {
      if (heard.family !== name) continue;
      // The kernel took our membership with the family, even where the next one has the same number.
      if (message.command === DELETED) this.#close(heard);
      // It tells of a family's groups, too: the last of them completes it.
      if (heard.monitor === undefined) this.#back(heard);
    }
  }

  #close(heard: Heard): void {
    if (heard.monitor === undefined) return;
    heard.monitor[Symbol.dispose]();
    heard.monitor = undefined;
    for (const listener of heard.listeners) {
      listener.log(`the family ${heard.family} is gone: the hook waits for it`);
      listener.news({ type: "state", family: heard.family, group: heard.group, state: "gone", count: 0 });
    }
  }

  #back(heard: Heard): void {
    if (this.#open(heard) !== undefined) return;
    for (const listener of heard.listeners) {
      listener.log(`the family ${heard.family} is there: the hook on ${heard.group} goes on`);
      listener.news({ type: "state", family: heard.family, group: heard.group, state: "there", count: 0 });
    }
  }

  #reopen(heard: Heard): void {
    const before = heard.monitor;
    heard.monitor = undefined;
    const missing = this.#open(heard);
    before?.[Symbol.dispose]();
    if (before === undefined) {
      if (missing === undefined) this.#back(heard);
    } else if (missing !== undefined) {
      heard.monitor = before;
      this.#close(heard);
    } else this.#tellLost(heard);
  }

  /** Hears the group; or says what is missing. */
  #open(heard: Heard): string | undefined {
    const { family: name, group } = heard;
    try {
      const family = this.#source.find(name);
      if (family === undefined) return `there is no family ${name}`;
      if (!family.groups.some((one) => one.name === group)) {
        const there = family.groups.map((one) => one.name).join(", ") || "none";
        return `the family ${name} has no group ${group} (its groups: ${there})`;
      }
      heard.monitor = this.#source.monitor(family, group, {
        message: (message) => this.#message(heard, message),
        lost: () => {
          this.#lost(keyOf(heard));
          this.#tellLost(heard);
        },
      });
      return undefined;
    } catch (thrown) {
      return `${name}/${group} can't be heard: ${XdpctlError.wrap(thrown).message}`;
    }
  }

  #message(heard: Heard, { command, version, payload }: GenericMessage): void {
    const { family, group, listeners } = heard;
    if (payload.length > LONGEST) {
      this.#lost(keyOf(heard));
      this.#tellLost(heard);
      return;
    }
    const time = Number(process.hrtime.bigint()) / 1e9;
    // A copy of its own: what is sent to a worker is sent with all of the memory that it is a part of.
    const bytes = new Uint8Array(payload);
    for (const one of listeners) one.news({ type: "message", family, group, time, command, version, payload: bytes });
  }

  #tellLost({ family, group, listeners }: Heard): void {
    for (const listener of listeners) listener.news({ type: "state", family, group, state: "lost", count: 1 });
  }

  [Symbol.dispose](): void {
    for (const heard of this.#heard.values()) heard.monitor?.[Symbol.dispose]();
    this.#heard.clear();
    this.#control?.[Symbol.dispose]();
    this.#control = undefined;
  }
}

function keyOf({ family, group }: GenericGroupName): string {
  return `${family}/${group}`;
}
