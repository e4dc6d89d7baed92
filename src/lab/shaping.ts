// SPDX-License-Identifier: MIT
import { release } from "node:os";
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import { type Qdisc, QDISC_ROOT, qdiscRequests, type Request } from "../netlink/index.js";
import { type Impairment, netemSettings, tbfSettings, withoutNetem } from "./impairment.js";
import { type GuestEnd, shapedInGuest, shapeInGuest } from "./guest-shaping.js";
import type { Machine } from "./machine.js";

/** The numbers by which ours are known: what has others was made by someone else. */
const ROOT_HANDLE = 0xd9c0_0000;
const CHILD_HANDLE = 0xd9c1_0000;
const CHILD_PARENT = ROOT_HANDLE + 1;

/** An end of a link in the machine that it is in. */
export interface ShapedEnd {
  /** `client:eth0`, for messages. */
  readonly name: string;
  readonly at: Machine;
  readonly index: number;
  readonly mtu: number;
}

/** The queueing disciplines of an end that are ours. */
export function shapedBy(end: ShapedEnd | GuestEnd): { root: Qdisc; child?: Qdisc } | undefined {
  return "run" in end ? shapedInGuest(end) : shapedHere(end);
}

function shapedHere(end: ShapedEnd, all = end.at.route.qdiscs()): { root: Qdisc; child?: Qdisc } | undefined {
  const here = all.filter((one) => one.index === end.index);
  const root = here.find((one) => one.handle === ROOT_HANDLE && one.parent === QDISC_ROOT);
  const child = here.find((one) => one.handle === CHILD_HANDLE && one.parent === CHILD_PARENT);
  return root === undefined ? undefined : { root, ...(child === undefined ? {} : { child }) };
}

/**
 * Makes what an end sends as impaired as `wanted` says: a netem with a tbf in it, one of them, or none. Returns what the
 * kernel lacks and `optional` let be left out. Errors: XDPCTL_E_NOT_SUPPORTED, XDPCTL_E_LAB_CONFLICT where someone else's
 * queueing discipline is.
 */
export function shape(end: ShapedEnd | GuestEnd, wanted: Impairment): string | undefined {
  if ("run" in end) return shapeInGuest(end, wanted);
  try {
    end.at.route.execute(plan(end, wanted));
    return undefined;
  } catch (error) {
    const missing = lacks(error);
    if (missing === undefined) throw error;
    const asked = missing === "netem" ? "delay, jitter, loss and the like" : "rate";
    const message = `${end.name}: ${asked} can't be set: the kernel ${release()} has no sch_${missing}`;
    if (wanted.optional === true && missing === "netem") {
      shape(end, withoutNetem(wanted));
      return message;
    }
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", message, {
      remedy: `use a kernel that has it: a machine with \`kind: vm\`, or the whole lab in a guest${missing === "netem" ? "; `rate` works here" : ""}`,
      cause: error,
      ...(XdpctlError.is(error) && error.kernel !== undefined ? { kernel: error.kernel } : {}),
    });
  }
}

function plan(end: ShapedEnd, wanted: Impairment): Request[] {
  const all = end.at.route.qdiscs().filter((one) => one.index === end.index);
  const ours = shapedHere(end, all);
  const netem = netemSettings(wanted);
  const tbf = tbfSettings(wanted, end.mtu);
  const list: Request[] = [];
  const root = { index: end.index, parent: QDISC_ROOT, handle: ROOT_HANDLE };
  const child = { index: end.index, parent: CHILD_PARENT, handle: CHILD_HANDLE };
  // Of another shape it is made anew; of the same it is changed, and keeps what waits in it.
  const kinds = [netem === undefined ? [] : "netem", tbf === undefined ? [] : "tbf"].flat();
  const same = ours !== undefined && kinds.join() === [ours.root.kind, ours.child?.kind ?? []].flat().join();
  if (ours !== undefined && !same) list.push(qdiscRequests.delete(root, `${end.name}: ending what impaired it`));
  if (kinds.length === 0) return list;
  const other = all.find((one) => one.parent === QDISC_ROOT && one.handle !== 0 && one.handle !== ROOT_HANDLE);
  if (other !== undefined) {
    throw new XdpctlError(
      "XDPCTL_E_LAB_CONFLICT",
      `${end.name} has a queueing discipline ${other.kind} of someone else`,
      {
        remedy: "`tc qdisc del dev IF root` in that machine removes it",
      },
    );
  }
  if (netem !== undefined) list.push(qdiscRequests.netem(root, netem, same, `${end.name}: netem`));
  if (tbf !== undefined) {
    list.push(qdiscRequests.tbf(netem === undefined ? root : child, tbf, same, `${end.name}: tbf`));
  }
  return list;
}

/** The queueing discipline that the kernel does not know, if that was the reason. */
function lacks(error: unknown): "netem" | "tbf" | undefined {
  if (!XdpctlError.is(error, "XDPCTL_E_NETLINK") || error.errno !== errno.ENOENT) return undefined;
  return (["netem", "tbf"] as const).find((kind) => error.message.includes(`: ${kind}: `));
}
