// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { Loop } from "../loop/index.js";
import { type GenericFamily, GenericSocket, readFamilyName } from "./generic.js";
import { GenericMonitor, type GenericMonitorHandler } from "./generic-monitor.js";

/** CTRL_CMD_DELFAMILY of linux/genetlink.h. */
const DELETED = 2;

export interface FamilyHandler extends GenericMonitorHandler {
  /** The family went with its module, or is there again, and heard again. */
  state(state: "gone" | "there"): void;
}

/**
 * Hears groups of one family in the calling thread's network namespace, all of them by default, until it is closed: also
 * when the family goes and comes back, which `nlctrl` tells. Throws XDPCTL_E_NO_FAMILY for a family or group that is not
 * there at first.
 */
export class FamilyFollower implements Disposable {
  readonly family: GenericFamily;
  readonly #loop: Loop;
  readonly #groups: readonly string[];
  readonly #handler: FamilyHandler;
  readonly #socket = new GenericSocket();
  #control: GenericMonitor | undefined;
  /** Undefined while the family is not there. */
  #monitor: GenericMonitor | undefined;

  constructor(loop: Loop, name: string, groups: readonly string[], handler: FamilyHandler) {
    this.#loop = loop;
    this.#groups = groups;
    this.#handler = handler;
    try {
      // Before the family is asked for: what changes from then on is heard.
      this.#control = new GenericMonitor(loop, this.#socket.family("nlctrl"), ["notify"], {
        message: (message) => {
          if (readFamilyName(message) !== name) return;
          // The kernel took our membership with the family, even where the next one has the same number.
          if (message.command === DELETED) this.#gone();
          // It tells of a family's groups, too: the last of them completes it.
          if (this.#monitor === undefined) this.#back();
        },
        lost: () => this.#anew(),
      });
      this.family = this.#socket.family(name);
      this.#monitor = this.#open(this.family);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open(family: GenericFamily): GenericMonitor {
    const groups = this.#groups.length > 0 ? this.#groups : family.groups.map((one) => one.name);
    return new GenericMonitor(this.#loop, family, groups, this.#handler);
  }

  #gone(): void {
    const monitor = this.#monitor;
    if (monitor === undefined) return;
    // What it sent before it went still waits there.
    monitor.drain();
    monitor.close();
    this.#monitor = undefined;
    this.#handler.state("gone");
  }

  #back(): void {
    const family = this.#socket.find(this.family.name);
    if (family === undefined || (this.#groups.length === 0 && family.groups.length < this.family.groups.length)) return;
    try {
      this.#monitor = this.#open(family);
    } catch (error) {
      if (XdpctlError.is(error, "XDPCTL_E_NO_FAMILY")) return;
      throw error;
    }
    this.#handler.state("there");
  }

  /** News of families were lost: it may have gone and come back. */
  #anew(): void {
    this.#handler.lost();
    this.#gone();
    this.#back();
  }

  close(): void {
    this.#control?.close();
    this.#monitor?.close();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
