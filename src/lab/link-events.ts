// SPDX-License-Identifier: MIT
import { BpfProgram } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { LinkEvent, LostEvent, XdpEvent } from "../events/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { type Link, LinkMonitor, openRoute, type RouteSocket } from "../netlink/index.js";

/** How often programs are looked for, in milliseconds. */
const PROGRAMS_MS = 200;

export type MachineLinkEvent = LinkEvent | XdpEvent | LostEvent;

/**
 * What happens to the links of the calling thread's network namespace: they come, go, go up and down and lose their carrier;
 * programs are attached and detached.
 */
export class LinkEvents implements Disposable {
  readonly #handler: (event: MachineLinkEvent) => void;
  readonly #monitor: LinkMonitor;
  readonly #route: RouteSocket;
  readonly #timer: LoopHandle;
  /** The names of programs, for when they are gone. */
  readonly #programs: Map<number, string>;
  /** The links as they were last told of, by index. */
  readonly #links: Map<number, Link>;

  constructor(loop: Loop, handler: (event: MachineLinkEvent) => void) {
    this.#handler = handler;
    this.#monitor = new LinkMonitor(loop, (event, link) => this.#changed(event, link));
    this.#route = openRoute();
    this.#links = new Map(this.#monitor.links.map((link) => [link.index as number, link]));
    const ids = [...this.#links.values()].map((link) => link.xdp.progId).filter((id) => id !== 0);
    this.#programs = new Map(ids.map((id) => [id, programName(id)]));
    this.#timer = loop.every(PROGRAMS_MS, () => this.#poll());
  }

  /** A monitor tells of any change of a link; here it is told apart. */
  #changed(event: LinkEvent | LostEvent, link: Link | undefined): void {
    if (event.type === "lost" || link === undefined) {
      this.#handler(event);
      return;
    }
    const before = this.#links.get(link.index);
    const gone = event.action === "delete";
    if (gone) this.#links.delete(link.index);
    else this.#links.set(link.index, link);
    const programs = [before?.xdp.progId ?? 0, gone ? 0 : link.xdp.progId];
    const onlyProgram = event.action === "change" && programs[0] !== programs[1] && !differs(before, link);
    if (!onlyProgram) this.#handler(event);
    this.#program(before, gone ? { ...link, xdp: { ...link.xdp, progId: 0 } } : link, event.time);
  }

  /** Tells of another program on a link than before. */
  #program(before: Link | undefined, link: Link, time: string): void {
    const [old, now] = [before?.xdp.progId ?? 0, link.xdp.progId];
    if (old === now) return;
    const action = now === 0 ? "detach" : old === 0 ? "attach" : "replace";
    const id = now === 0 ? old : now;
    const mode = (now === 0 ? before?.xdp.mode : link.xdp.mode) ?? "none";
    const program = this.#programs.get(id) ?? programName(id);
    this.#programs.delete(old);
    if (now !== 0) this.#programs.set(id, program);
    const where = { interface: link.name, ifindex: link.index };
    this.#handler({ type: "xdp", time, action, ...where, program, id, mode });
  }

  /** The kernel says nothing of programs that a bpf_link attaches or detaches. */
  #poll(): void {
    for (const link of this.#route.links()) {
      const before = this.#links.get(link.index);
      if (before === undefined || before.xdp.progId === link.xdp.progId) continue;
      this.#links.set(link.index, { ...before, xdp: link.xdp });
      this.#program(before, link, new Date().toISOString());
    }
  }

  close(): void {
    this.#timer.close();
    this.#monitor.close();
    this.#route.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether something else than its program changed. */
function differs(before: Link | undefined, now: Link): boolean {
  if (before === undefined) return true;
  return (["name", "up", "carrier", "mtu", "address", "master"] as const).some((key) => before[key] !== now[key]);
}

/** A program's name; empty for one that is gone already. */
function programName(id: number): string {
  try {
    const program = BpfProgram.fromId(id);
    const name = program?.name ?? "";
    program?.close();
    return name;
  } catch (error) {
    if (XdpctlError.is(error)) return "";
    throw error;
  }
}
