// SPDX-License-Identifier: MIT
import type { BpfProgram, XdpLink } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { openRoute } from "../netlink/index.js";
import { attachNew, detachForeign, type ModeRequest, type XdpMode } from "./attach.js";

/** A program on an interface, for as long as this object lives. */
export class XdpAttachment implements Disposable, AsyncDisposable {
  readonly interface: string;
  readonly ifindex: number;
  readonly mode: XdpMode;
  /** Why `auto` fell back to generic; undefined otherwise. */
  readonly fallback: string | undefined;
  readonly link: XdpLink;

  constructor(name: string, ifindex: number, mode: XdpMode, link: XdpLink, fallback: string | undefined) {
    this.interface = name;
    this.ifindex = ifindex;
    this.mode = mode;
    this.link = link;
    this.fallback = fallback;
  }

  /** Replaces the program atomically. */
  replace(program: BpfProgram): void {
    this.link.update(program);
  }

  close(): void {
    this.link.detach();
    this.link.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/**
 * Attaches a program to an interface of the calling thread's network namespace by a bpf_link (Linux 5.9).
 *
 * `mode` is `native`, `generic`, or `auto` (the default), which falls back to generic and says why in `fallback`. A program
 * that is there already is refused unless `force` is given. Throws XDPCTL_E_NO_INTERFACE, XDPCTL_E_OCCUPIED, XDPCTL_E_MODE,
 * XDPCTL_E_ATTACH, XDPCTL_E_PERMISSION, XDPCTL_E_USAGE for an empty name.
 */
export function attach(
  program: BpfProgram,
  name: string,
  options: { mode?: ModeRequest; force?: boolean } = {},
): XdpAttachment {
  if (name === "") throw new XdpctlError("XDPCTL_E_USAGE", "the name of an interface is empty");
  const route = openRoute();
  try {
    const links = route.links();
    const link = links.find((l) => l.name === name);
    if (link === undefined) {
      const hint = didYouMean(
        name,
        links.map((l) => l.name),
      );
      throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no interface ${name} in this namespace${hint}`);
    }
    if (link.xdp.mode !== "none") {
      if (options.force !== true) {
        throw new XdpctlError("XDPCTL_E_OCCUPIED", `${name} has a program already (id ${link.xdp.progId})`);
      }
      detachForeign(route, link);
    }
    const attached = attachNew(program, link, options.mode ?? "auto");
    return new XdpAttachment(name, link.index, attached.mode, attached.link, attached.fallback);
  } finally {
    route.close();
  }
}
