// SPDX-License-Identifier: MIT
import type { LabEvent } from "../events/index.js";
import { inNamespaces } from "../linux/index.js";
import type { Loop } from "../loop/index.js";
import { GuestEvents } from "./guest-events.js";
import { kindOf } from "./kinds/index.js";
import type { Lab } from "./lab.js";
import { LinkEvents, type MachineLinkEvent } from "./link-events.js";
import { nodeDir } from "./paths.js";
import type { NodeSpec } from "./spec.js";
import { type LabState, machineLives } from "./state.js";
import { type LabWatch, watchLab } from "./watch.js";

interface Watched {
  /** Inode of its network namespace, or which guest it is: with another one it is another machine. */
  readonly key: string;
  readonly events: LinkEvents | GuestEvents;
}

export interface LabEventsOptions {
  /** Called where a machine can't be watched, with why. */
  readonly onBlind?: (machine: string, why: string) => void;
}

/**
 * What happens in a lab from now on: machines that come and go, links that go up and down or lose their carrier, programs
 * that are attached and detached, each with the machine's name. Ends with the lab.
 */
export class LabEvents implements Disposable {
  readonly #loop: Loop;
  readonly #lab: string;
  readonly #handler: (event: LabEvent) => void;
  readonly #onBlind: (machine: string, why: string) => void;
  readonly #machines = new Map<string, Watched>();
  readonly #watch: LabWatch;

  constructor(
    loop: Loop,
    lab: Lab,
    handler: (event: LabEvent) => void,
    ended: () => void,
    options: LabEventsOptions = {},
  ) {
    this.#loop = loop;
    this.#lab = lab.name;
    this.#handler = handler;
    this.#onBlind = options.onBlind ?? (() => undefined);
    this.#follow(lab.state, false);
    this.#watch = watchLab(lab, (state) => {
      this.#follow(state, true);
      if (state === undefined) ended();
    });
  }

  /** When guests are watched, too: the program that does it takes its time to start there. */
  async ready(): Promise<void> {
    await Promise.all([...this.#machines.values()].map(({ events }) => "ready" in events && events.ready));
  }

  /** Watches the machines that a lab has now; tells of those that came and went. */
  #follow(state: LabState | undefined, tell: boolean): void {
    const now = new Map<string, [key: string, node: NodeSpec]>();
    for (const node of state?.spec.nodes ?? []) {
      const key = state === undefined ? undefined : this.#keyOf(state, node);
      if (key !== undefined) now.set(node.name, [key, node]);
    }
    for (const [name, { key, events }] of [...this.#machines]) {
      if (now.get(name)?.[0] === key) continue;
      events.close();
      this.#machines.delete(name);
      this.#tell(name, "down");
    }
    for (const [name, [key, node]] of now) {
      if (state === undefined || this.#machines.has(name)) continue;
      const events = this.#open(state, node);
      this.#machines.set(name, { key, events });
      if (!tell) continue;
      if (!("ready" in events)) this.#tell(name, "up");
      // What comes after it is missed by nobody.
      else void events.ready.then(() => this.#machines.get(name)?.events === events && this.#tell(name, "up"));
    }
  }

  /** Undefined where there is nothing to watch, or not yet. */
  #keyOf(state: LabState, node: NodeSpec): string | undefined {
    const mark = state.machines[node.name];
    if (mark === undefined || !machineLives(state, node.name)) return undefined;
    if (kindOf(node).run === undefined) return mark.net;
    const key = `${mark.net} ${mark.vm?.supervisor.pid} ${mark.vm?.supervisor.start}`;
    // While the lab is changed nothing can be started in a guest; what is watched there still is.
    if (this.#machines.get(node.name)?.key === key) return key;
    return state.phase === "ready" && kindOf(node).fault?.({ state, node }) === undefined ? key : undefined;
  }

  #open(state: LabState, node: NodeSpec): LinkEvents | GuestEvents {
    const { name } = node;
    const place = { lab: this.#lab, machine: name };
    const handler = (event: MachineLinkEvent): void => this.#handler({ ...event, ...place });
    if (kindOf(node).run !== undefined) {
      const at = { state, node };
      // Its clock is not ours: the time is when we hear of it, so that all times are in order.
      const heard = (event: MachineLinkEvent): void => handler({ ...event, time: new Date().toISOString() });
      const guest: GuestEvents = new GuestEvents(at, heard, (why) => {
        // A guest that is gone is a machine that is down; in one that is not, there is no such program.
        if (this.#machines.get(name)?.events !== guest) return;
        if (kindOf(node).fault?.(at) === undefined) return this.#onBlind(name, why);
        this.#machines.delete(name);
        this.#tell(name, "down");
      });
      return guest;
    }
    return inNamespaces({ net: `${nodeDir(this.#lab, name)}/net` }, () => new LinkEvents(this.#loop, handler));
  }

  #tell(machine: string, action: "up" | "down"): void {
    this.#handler({ type: "machine", time: new Date().toISOString(), lab: this.#lab, machine, action });
  }

  close(): void {
    this.#watch.close();
    for (const { events } of this.#machines.values()) events.close();
    this.#machines.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
