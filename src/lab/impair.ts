// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { needCapabilities } from "../linux/index.js";
import { IMPAIRMENT_KEYS, type Impairment, type ImpairmentKey, impairmentProblem, isImpaired } from "./impairment.js";
import type { GuestEnd } from "./guest-shaping.js";
import { kindOf } from "./kinds/index.js";
import { Lab } from "./lab.js";
import { withLabLock } from "./lock.js";
import { type Machine, openMachine } from "./machine.js";
import type { Machines } from "./network.js";
import { SWITCH } from "./paths.js";
import { type ShapedEnd, shape, shapedBy } from "./shaping.js";
import { shown } from "./shown.js";
import type { EndSpec, LabSpec } from "./spec.js";
import { type LabState, type LinkMark, writeState } from "./state.js";

/** One direction of a link as the kernel has it: what `end` sends to `to`. */
export interface ImpairedEnd {
  readonly end: string;
  readonly to: string;
  /** `off`: the settings are kept, but not in force. `gone`: something else than xdpctl took them away. */
  readonly state: "on" | "off" | "gone" | "none";
  /** What was asked for. */
  readonly settings: Impairment;
  /** In force, with what was chosen: the size of the burst and of the queue in bytes. */
  readonly rate: number | null;
  readonly burst: number | null;
  readonly limit: number | null;
  readonly delay: number | null;
  readonly jitter: number | null;
  readonly "jitter-correlation": number | null;
  readonly loss: number | null;
  readonly "loss-correlation": number | null;
  readonly duplicate: number | null;
  readonly corrupt: number | null;
  readonly reorder: number | null;
  /** Since the settings came into force. */
  readonly sent: { readonly bytes: number; readonly packets: number };
  readonly dropped: number;
}

/** What to do with an end: settings to change (undefined takes one away), all of them to switch, or to forget. */
export type ImpairmentChange =
  | { readonly set: Partial<Record<ImpairmentKey, number | undefined>> }
  | { readonly on: boolean }
  | { readonly reset: true };

const keyOf = (end: EndSpec): string => ("node" in end ? `${end.node}:${end.interface}` : `${end.bridge}:${end.port}`);
const machineOf = (end: EndSpec): string => ("node" in end ? end.node : SWITCH);
const namesOf = (end: EndSpec): string[] => ("node" in end ? [keyOf(end)] : [keyOf(end), end.bridge]);

interface Direction {
  readonly key: string;
  readonly end: EndSpec;
  readonly to: EndSpec;
  readonly index: number;
  readonly mtu: number;
}

function directionsOf(spec: LabSpec, mark: LinkMark): [Direction, Direction] {
  const mtu = spec.links.find((link) => JSON.stringify(link.ends) === JSON.stringify(mark.ends))?.mtu ?? 1500;
  const direction = (i: 0 | 1): Direction => ({
    key: keyOf(mark.ends[i]),
    end: mark.ends[i],
    to: mark.ends[i === 0 ? 1 : 0],
    index: mark.index[i],
    mtu,
  });
  return [direction(0), direction(1)];
}

/** The directions that are meant: one end, or both ends of a link. None are named: all. */
function select(state: LabState, names: readonly string[]): Direction[] {
  const links = state.links.map((mark) => directionsOf(state.spec, mark));
  const [a, b] = names;
  if (a === undefined) return links.flat();
  const found =
    b === undefined
      ? links.flat().filter((one) => one.key === a)
      : links.filter(([left, right]) => isBetween(left.end, right.end, a, b)).flat();
  if (found.length > 0) return found;
  const known = links.flat().map((one) => one.key);
  const unknown = names.find((name) => !links.flat().some((one) => namesOf(one.end).includes(name)));
  const what =
    unknown === undefined ? `no link ${names.map(shown).join(" -- ")}` : `no end of a link ${shown(unknown)}`;
  const hint = unknown === undefined ? "" : didYouMean(unknown, known);
  throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `the lab ${state.name} has ${what}${hint}`, {
    remedy: "`xdpctl lab impair` lists the ends: `client:eth0` is one, `client:eth0 -- br-lan` both",
  });
}

function isBetween(left: EndSpec, right: EndSpec, a: string, b: string): boolean {
  return (
    (namesOf(left).includes(a) && namesOf(right).includes(b)) ||
    (namesOf(left).includes(b) && namesOf(right).includes(a))
  );
}

type AnyEnd = ShapedEnd | GuestEnd;

/** An end that is the NIC of a guest is shaped there: by its kernel. */
function guestEnd(state: LabState, { key, end, mtu }: Direction): GuestEnd | undefined {
  const node = "node" in end ? state.spec.nodes.find((one) => one.name === end.node) : undefined;
  if (node === undefined || !("node" in end)) return undefined;
  const { run, kernel } = kindOf(node);
  if (run === undefined) return undefined;
  const at = { state, node };
  return {
    name: key,
    interface: end.interface,
    mtu,
    kernel: kernel?.(at) ?? "",
    run: (argv, input) => {
      new Lab(state).check(node.name);
      return run(at, argv, input);
    },
  };
}

/** Opens the machines of the directions for as long as `body` runs. */
function withEnds<T>(state: LabState, list: readonly Direction[], body: (end: (one: Direction) => AnyEnd) => T): T {
  const machines = new Map<string, Machine>();
  try {
    for (const one of list) {
      const name = machineOf(one.end);
      if (guestEnd(state, one) === undefined && !machines.has(name)) machines.set(name, openMachine(state.name, name));
    }
    return body((one) => guestEnd(state, one) ?? shapedEnd(one, machines));
  } finally {
    for (const machine of machines.values()) machine.close();
  }
}

function shapedEnd({ key, end, index, mtu }: Direction, machines: Machines): ShapedEnd {
  return { name: key, at: machines.get(machineOf(end)) as Machine, index, mtu };
}

/**
 * Changes what is wrong with links of a running lab. `names` are one end, or the two ends of a link. A change of some
 * settings keeps the others; the next deploy brings back what the lab file says. Errors: XDPCTL_E_NO_LAB,
 * XDPCTL_E_NO_INTERFACE, XDPCTL_E_USAGE for settings that don't go together, XDPCTL_E_NOT_SUPPORTED where the kernel
 * lacks netem, XDPCTL_E_LAB_CONFLICT.
 */
export function impair(lab: string, names: readonly string[], change: ImpairmentChange): ImpairedEnd[] {
  needCapabilities("impairing a link", "CAP_SYS_ADMIN", "CAP_NET_ADMIN");
  return withLabLock(() => {
    const state = Lab.open(lab).state as LabState;
    const list = select(state, names);
    const before = state.impaired ?? {};
    const after = { ...before };
    for (const one of list) {
      const wanted = changed(before[one.key], change, one);
      if (isImpaired(wanted.settings)) after[one.key] = wanted;
      else delete after[one.key];
    }
    const apply = (all: typeof after, endOf: (one: Direction) => AnyEnd): void => {
      for (const one of list) shape(endOf(one), inForce(all[one.key]));
    };
    withEnds(state, list, (endOf) => {
      try {
        apply(after, endOf);
      } catch (error) {
        apply(before, endOf);
        throw error;
      }
    });
    state.impaired = after;
    writeState(state);
    return show(state, list);
  });
}

type Kept = NonNullable<LabState["impaired"]>[string];

const inForce = (kept: Kept | undefined): Impairment => (kept === undefined || kept.off === true ? {} : kept.settings);

function changed(before: Kept | undefined, change: ImpairmentChange, one: Direction): Kept {
  if ("reset" in change) return { settings: {} };
  const settings: Impairment = { ...before?.settings };
  if ("on" in change) {
    if (before === undefined) {
      throw new XdpctlError("XDPCTL_E_USAGE", `${one.key} has no impairment to switch ${change.on ? "on" : "off"}`, {
        remedy: `set one: \`xdpctl lab impair ${one.key} rate=10mbit\``,
      });
    }
    return change.on ? { settings } : { settings, off: true };
  }
  for (const key of IMPAIRMENT_KEYS) {
    if (!(key in change.set)) continue;
    const value = change.set[key];
    if (value === undefined) delete settings[key];
    else settings[key] = value;
  }
  const problem = impairmentProblem(settings, one.mtu);
  if (problem !== undefined) throw new XdpctlError("XDPCTL_E_USAGE", `${one.key}: ${problem[1]}`);
  return { settings };
}

/** What the kernel shows of links of a running lab; all of them where none is named. */
export function impairments(lab: string, names: readonly string[] = []): ImpairedEnd[] {
  needCapabilities("looking into the lab's machines", "CAP_SYS_ADMIN");
  const state = Lab.open(lab).state as LabState;
  return show(state, select(state, names));
}

function show(state: LabState, list: readonly Direction[]): ImpairedEnd[] {
  return withEnds(state, list, (endOf) =>
    list.map((one): ImpairedEnd => {
      const { settings = {}, off } = state.impaired?.[one.key] ?? {};
      const found = shapedBy(endOf(one));
      const tbf = found?.child?.tbf ?? found?.root.tbf;
      const netem = found?.root.netem;
      return {
        end: one.key,
        to: "node" in one.to ? keyOf(one.to) : one.to.bridge,
        state: found !== undefined ? "on" : !isImpaired(settings) ? "none" : off === true ? "off" : "gone",
        settings,
        rate: tbf?.rate ?? null,
        burst: tbf?.burst ?? null,
        limit: tbf?.limit ?? null,
        delay: netem?.delay ?? null,
        jitter: netem?.jitter ?? null,
        "jitter-correlation": netem?.jitterCorrelation ?? null,
        loss: netem?.loss ?? null,
        "loss-correlation": netem?.lossCorrelation ?? null,
        duplicate: netem?.duplicate ?? null,
        corrupt: netem?.corrupt ?? null,
        reorder: netem?.reorder ?? null,
        sent: found?.root.sent ?? { bytes: 0, packets: 0 },
        dropped: (found?.root.dropped ?? 0) + (found?.child?.dropped ?? 0),
      };
    }),
  );
}

/**
 * Takes the links of a lab that is deployed to what the spec says; returns what was left out. Guests are not there yet: what
 * was known of their ends stays known until `impairGuests`.
 */
export function impairLinks(state: LabState, spec: LabSpec, machines: Machines): string[] {
  const before = state.impaired ?? {};
  const wanted: Record<string, Kept> = {};
  const notes: string[] = [];
  const links = new Map(spec.links.map((link) => [JSON.stringify(link.ends), link]));
  for (const mark of state.links) {
    const given = links.get(JSON.stringify(mark.ends))?.impair;
    for (const [i, one] of directionsOf(spec, mark).entries()) {
      const { end } = one;
      const kept = before[one.key];
      if ("node" in end && spec.nodes.some((node) => node.name === end.node && kindOf(node).run !== undefined)) {
        if (kept !== undefined) wanted[one.key] = kept;
        continue;
      }
      const settings = given?.[i] ?? {};
      if (!isImpaired(settings) && before[one.key] === undefined) continue;
      const note = shape(shapedEnd(one, machines), settings);
      if (note !== undefined) notes.push(note);
      if (isImpaired(settings)) wanted[one.key] = { settings };
    }
  }
  if (Object.keys(wanted).length > 0) state.impaired = wanted;
  else delete state.impaired;
  return notes;
}

/** The same for ends in guests, which are ready by now. */
export function impairGuests(lab: Lab): string[] {
  const state = lab.state as LabState;
  const links = new Map(state.spec.links.map((link) => [JSON.stringify(link.ends), link]));
  const after = { ...state.impaired };
  const notes: string[] = [];
  let changed = false;
  for (const mark of state.links) {
    const given = links.get(JSON.stringify(mark.ends))?.impair;
    for (const [i, one] of directionsOf(state.spec, mark).entries()) {
      const settings = given?.[i] ?? {};
      const end = guestEnd(state, one);
      if (end === undefined || (!isImpaired(settings) && after[one.key] === undefined)) continue;
      const note = shape(end, settings);
      if (note !== undefined) notes.push(note);
      if (isImpaired(settings)) after[one.key] = { settings };
      else delete after[one.key];
      changed = true;
    }
  }
  if (changed) {
    withLabLock(() => {
      state.impaired = after;
      writeState(state);
    });
  }
  return notes;
}
