// SPDX-License-Identifier: MIT
import { BpfProgram } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { LabEvent, LinkEvent, LostEvent } from "../events/index.js";
import { inNamespaces } from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { type Link, type LinkHandler, LinkMonitor, openRoute, type RouteSocket } from "../netlink/index.js";
import type { Lab } from "./lab.js";
import { nodeDir } from "./paths.js";
import { type LabState, machineLives } from "./state.js";
import { type LabWatch, watchLab } from "./watch.js";

/** How often programs are looked for, in milliseconds. */
const PROGRAMS_MS = 200;

interface Watched {
  /** Inode of its network namespace: with another one it is another machine. */
  readonly net: string;
  readonly monitor: LinkMonitor;
  readonly route: RouteSocket;
  /** The names of programs, for when they are gone. */
  readonly programs: Map<number, string>;
  /** Its links as they were last told of, by index. */
  readonly links: Map<number, Link>;
}

/**
 * What happens in a lab from now on: machines that come and go, links that go up and down or lose their carrier, programs
 * that are attached and detached, each with the machine's name. Ends with the lab.
 */
export class LabEvents implements Disposable {
  readonly #loop: Loop;
  readonly #lab: string;
  readonly #handler: (event: LabEvent) => void;
  readonly #machines = new Map<string, Watched>();
  readonly #watch: LabWatch;
  readonly #timer: LoopHandle;

  constructor(loop: Loop, lab: Lab, handler: (event: LabEvent) => void, ended: () => void) {
    this.#loop = loop;
    this.#lab = lab.name;
    this.#handler = handler;
    this.#follow(lab.state, false);
    this.#timer = loop.every(PROGRAMS_MS, () => this.#poll());
    this.#watch = watchLab(lab, (state) => {
      this.#follow(state, true);
      if (state === undefined) ended();
    });
  }

  /** Watches the machines that a lab has now; tells of those that came and went. */
  #follow(state: LabState | undefined, tell: boolean): void {
    const now = new Map<string, string>();
    for (const { name } of state?.spec.nodes ?? []) {
      const mark = state?.machines[name];
      if (state !== undefined && mark !== undefined && machineLives(state, name)) now.set(name, mark.net);
    }
    for (const [name, watched] of [...this.#machines]) {
      if (now.get(name) === watched.net) continue;
      closeWatched(watched);
      this.#machines.delete(name);
      this.#tell(name, "down");
    }
    for (const [name, net] of now) {
      if (this.#machines.has(name)) continue;
      const path = `${nodeDir(this.#lab, name)}/net`;
      const changed: LinkHandler = (event, link) => this.#changed(name, event, link);
      const open = (): [LinkMonitor, RouteSocket] => [new LinkMonitor(this.#loop, changed), openRoute()];
      const [monitor, route] = inNamespaces({ net: path }, open);
      const links = new Map(monitor.links.map((link) => [link.index as number, link]));
      const ids = [...links.values()].map((link) => link.xdp.progId).filter((id) => id !== 0);
      const programs = new Map(ids.map((id) => [id, programName(id)]));
      this.#machines.set(name, { net, monitor, route, links, programs });
      if (tell) this.#tell(name, "up");
    }
  }

  #tell(machine: string, action: "up" | "down"): void {
    this.#handler({ type: "machine", time: new Date().toISOString(), lab: this.#lab, machine, action });
  }

  /** A monitor tells of any change of a link; here it is told apart. */
  #changed(machine: string, event: LinkEvent | LostEvent, link: Link | undefined): void {
    const place = { lab: this.#lab, machine };
    const watched = this.#machines.get(machine);
    if (event.type === "lost" || link === undefined || watched === undefined) {
      this.#handler({ ...event, ...place });
      return;
    }
    const before = watched.links.get(link.index);
    const gone = event.action === "delete";
    if (gone) watched.links.delete(link.index);
    else watched.links.set(link.index, link);
    const programs = [before?.xdp.progId ?? 0, gone ? 0 : link.xdp.progId];
    const onlyProgram = event.action === "change" && programs[0] !== programs[1] && !differs(before, link);
    if (!onlyProgram) this.#handler({ ...event, ...place });
    this.#program(machine, watched, before, gone ? { ...link, xdp: { ...link.xdp, progId: 0 } } : link, event.time);
  }

  /** Tells of another program on a link than before. */
  #program(machine: string, watched: Watched, before: Link | undefined, link: Link, time: string): void {
    const [old, now] = [before?.xdp.progId ?? 0, link.xdp.progId];
    if (old === now) return;
    const action = now === 0 ? "detach" : old === 0 ? "attach" : "replace";
    const id = now === 0 ? old : now;
    const mode = (now === 0 ? before?.xdp.mode : link.xdp.mode) ?? "none";
    const program = watched.programs.get(id) ?? programName(id);
    watched.programs.delete(old);
    if (now !== 0) watched.programs.set(id, program);
    const where = { interface: link.name, ifindex: link.index };
    this.#handler({ type: "xdp", time, action, ...where, program, id, mode, lab: this.#lab, machine });
  }

  /** The kernel says nothing of programs that a bpf_link attaches or detaches. */
  #poll(): void {
    for (const [machine, watched] of this.#machines) {
      for (const link of watched.route.links()) {
        const before = watched.links.get(link.index);
        if (before === undefined || before.xdp.progId === link.xdp.progId) continue;
        watched.links.set(link.index, { ...before, xdp: link.xdp });
        this.#program(machine, watched, before, link, new Date().toISOString());
      }
    }
  }

  close(): void {
    this.#watch.close();
    this.#timer.close();
    for (const watched of this.#machines.values()) closeWatched(watched);
    this.#machines.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function closeWatched({ monitor, route }: Watched): void {
  monitor.close();
  route.close();
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
