// SPDX-License-Identifier: MIT
import { BpfProgram, ids, XdpLink } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { errno, errnoText } from "../linux/index.js";
import { type Link, type RouteSocket, XDP_FLAGS } from "../netlink/index.js";

export type XdpMode = "native" | "generic";
export type ModeRequest = XdpMode | "auto";

export interface Attached {
  link: XdpLink;
  mode: XdpMode;
  /** Why `auto` fell back to generic. */
  fallback?: string;
}

/**
 * Attaches to an interface that has no program. `auto` tries native first and says why it fell back. Throws XDPCTL_E_MODE,
 * XDPCTL_E_OCCUPIED, XDPCTL_E_INTERFACE_GONE, XDPCTL_E_ATTACH.
 */
export function attachNew(program: BpfProgram, link: Link, request: ModeRequest): Attached {
  const first = XdpLink.create(program, link.index, request === "generic" ? "generic" : "native");
  if (typeof first !== "number") return { link: first, mode: request === "generic" ? "generic" : "native" };
  if (request !== "auto" || !fallsBack(first)) throw attachError(first, link, request);
  const second = XdpLink.create(program, link.index, "generic");
  if (typeof second === "number") throw attachError(second, link, "generic");
  return { link: second, mode: "generic", fallback: modeReason(first, link) };
}

function fallsBack(number: number): boolean {
  return number === errno.EOPNOTSUPP || number === errno.EINVAL || number === errno.ENOTSUP || number === errno.ERANGE;
}

function modeReason(number: number, link: Link): string {
  const what = link.kind === undefined || link.kind === "" ? "the driver" : `a ${link.kind} device`;
  if (number === errno.EOPNOTSUPP) return `${what} of ${link.name} has no native XDP`;
  if (link.mtu > 3498) return `the MTU of ${link.mtu} is too large for native XDP on ${link.name}`;
  return `${what} refused native XDP: ${errnoText(number)}`;
}

function attachError(number: number, link: Link, mode: ModeRequest): XdpctlError {
  const details = { errno: number };
  switch (number) {
    case errno.EBUSY:
      return new XdpctlError("XDPCTL_E_OCCUPIED", `${link.name} has a program that is not ours`, details);
    case errno.EEXIST:
      return new XdpctlError(
        "XDPCTL_E_MODE",
        `${link.name} has a program in the other mode: native and generic exclude each other`,
        {
          ...details,
          remedy: "unload the other program first",
        },
      );
    case errno.ENODEV:
      return new XdpctlError("XDPCTL_E_INTERFACE_GONE", `${link.name} is gone`, details);
    case errno.EPERM:
      return new XdpctlError("XDPCTL_E_PERMISSION", `attaching to ${link.name} needs CAP_NET_ADMIN (or root)`, details);
    default:
      if (mode !== "generic" && fallsBack(number))
        return new XdpctlError("XDPCTL_E_MODE", modeReason(number, link), details);
      return new XdpctlError("XDPCTL_E_ATTACH", `attaching to ${link.name} (${mode}): ${errnoText(number)}`, details);
  }
}

/** The bpf_link that holds a program on an interface, whoever made it. */
export function findLink(ifindex: number, programId: number): XdpLink | undefined {
  for (const id of ids("link")) {
    const link = XdpLink.fromId(id);
    if (link === undefined) continue;
    const info = link.info;
    // An interface number alone may be another namespace's; with the program's id it is this one.
    if (link.isXdp && info.ifindex === ifindex && info.programId === programId) return link;
    link.close();
  }
  return undefined;
}

/** The name of a program that is not ours, as the kernel keeps it; `?` where it can't be known. */
export function foreignName(programId: number): string {
  try {
    const program = BpfProgram.fromId(programId);
    const name = program?.name;
    program?.close();
    return name || "?";
  } catch (error) {
    // Without CAP_SYS_ADMIN the kernel shows the id alone.
    if (XdpctlError.is(error)) return "?";
    throw error;
  }
}

/** Takes off a program that is not ours: its link is detached, or netlink's attachment removed. */
export function detachForeign(route: RouteSocket, link: Link): void {
  const programId = link.xdp.progId;
  if (programId === 0) return;
  const held = findLink(link.index, programId);
  if (held !== undefined) {
    held.detach();
    held.close();
    return;
  }
  const flag =
    link.xdp.mode === "generic"
      ? XDP_FLAGS.SKB_MODE
      : link.xdp.mode === "offloaded"
        ? XDP_FLAGS.HW_MODE
        : XDP_FLAGS.DRV_MODE;
  route.setXdp(link.index, -1, flag);
}
