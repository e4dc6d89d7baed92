// SPDX-License-Identifier: MIT
import { BpfObject } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { namespaceInode, needCapabilities } from "../linux/index.js";
import { type Link, openRoute, type RouteSocket } from "../netlink/index.js";
import { attachNew, detachForeign, foreignName, type ModeRequest } from "./attach.js";
import { type Attachment, Instance } from "./attachment.js";
import { checkLayout } from "./layout.js";
import { Pins } from "./pins.js";
import { type ResolvedProgram, resolveProgram } from "./resolve.js";

/** Mapped twice in a row, a larger one would not fit into what the kernel maps (2^31 bytes). */
const MAX_RING = 2 ** 30;

export interface LoadRequest {
  program: string;
  section?: string;
  interfaces: readonly string[];
  mode: ModeRequest;
  force: boolean;
  /** Pins the attachment: it stays after this process. */
  keep: boolean;
  /** Bytes of the event ring, a power of two. */
  ringSize?: number;
  verifierLog?: boolean;
}

export interface Loaded {
  attachment: Attachment;
  fallback?: string;
  replaced?: { program: string; id: number; ours: boolean };
}

export interface LoadOutcome {
  loaded: Loaded[];
  /** The verifier's log, where it was asked for. */
  log: string | undefined;
}

/** What is attached in one network namespace by us: in this process, or pinned by an earlier one. */
export class Attachments implements Disposable {
  readonly #route: RouteSocket;
  readonly #pins: Pins;
  readonly #held = new Map<number, Attachment>();

  private constructor(route: RouteSocket, pins: Pins) {
    this.#route = route;
    this.#pins = pins;
  }

  /**
   * Opens the calling thread's namespace and rebuilds, from pins, kernel info and BTF, what an earlier process left.
   * Throws XDPCTL_E_LAYOUT where that has another layout.
   */
  static open(): Attachments {
    const attachments = new Attachments(openRoute(), new Pins(namespaceInode()));
    try {
      attachments.#adopt();
    } catch (error) {
      attachments.close();
      throw error;
    }
    return attachments;
  }

  #adopt(): void {
    const pinned = this.#pins.open();
    if (pinned.length === 0) return;
    const links = new Map(this.#route.links().map((link) => [link.index as number, link]));
    const instances = new Map<number, Instance>();
    for (const one of pinned) {
      const link = links.get(one.ifindex);
      if (link === undefined) {
        one.link.close();
        one.program.close();
        for (const map of Object.values(one.maps)) map.close();
        continue;
      }
      let instance = instances.get(one.program.id);
      if (instance === undefined) {
        checkLayout(one.program.name, one.maps);
        instance = new Instance(one.program.name, one.program, one.maps);
        instances.set(instance.id, instance);
      } else {
        one.program.close();
        for (const map of Object.values(one.maps)) map.close();
      }
      this.#held.set(one.ifindex, {
        ifindex: one.ifindex,
        interface: link.name,
        mode: link.xdp.mode === "generic" ? "generic" : "native",
        instance: instance.retain(),
        link: one.link,
        pinned: true,
      });
    }
  }

  /** False for a process that can't tell what is ours: it may not look into the BPF file system. */
  get seesOurs(): boolean {
    return this.#pins.visible;
  }

  get all(): Attachment[] {
    return [...this.#held.values()];
  }

  /** The loaded objects, each once. */
  get instances(): Instance[] {
    return [...new Set(this.all.map((a) => a.instance))];
  }

  get(ifindex: number): Attachment | undefined {
    return this.#held.get(ifindex);
  }

  /** All links of the namespace. */
  links(): Link[] {
    return this.#route.links();
  }

  /** The link of that name. Throws XDPCTL_E_NO_INTERFACE, with the nearest name, and XDPCTL_E_USAGE for an empty one. */
  link(name: string, links: readonly Link[] = this.links()): Link {
    if (name === "") throw new XdpctlError("XDPCTL_E_USAGE", "the name of an interface is empty");
    const found = links.find((link) => link.name === name);
    if (found !== undefined) return found;
    const hint = didYouMean(
      name,
      links.map((link) => link.name),
    );
    throw new XdpctlError(
      "XDPCTL_E_NO_INTERFACE",
      `there is no interface ${JSON.stringify(name).slice(1, -1)} in this namespace${hint}`,
    );
  }

  /**
   * Loads one object and puts it on all the interfaces, or on none: what was attached before an error is put back.
   * What was ours there is replaced atomically; the same program keeps its maps.
   */
  async load(request: LoadRequest): Promise<LoadOutcome> {
    needCapabilities("loading a program", "CAP_BPF", "CAP_NET_ADMIN");
    const names = [...new Set(request.interfaces)];
    if (names.length === 0) throw new XdpctlError("XDPCTL_E_USAGE", "load takes a program and at least one interface");
    const links = this.links();
    const targets = names.map((name) => this.link(name, links));
    const resolved = resolveProgram(request.program, request.section);
    for (const link of targets) this.#refuse(link, request);
    const object = await this.#loadObject(resolved, request, targets);
    const program = object.programs[resolved.entry];
    if (program === undefined)
      throw new XdpctlError("XDPCTL_E_NO_PROGRAM", `${resolved.spec.name} has no program ${resolved.entry}`);
    const instance = new Instance(resolved.name, program, object.maps).retain();
    const undo: (() => void)[] = [];
    const done: { loaded: Loaded; retire: () => void }[] = [];
    try {
      for (const link of targets) done.push(this.#place(instance, link, request, undo));
    } catch (error) {
      for (const back of undo.reverse()) back();
      throw error;
    } finally {
      if (done.length === targets.length) for (const { retire } of done) retire();
      instance.release();
    }
    return { loaded: done.map(({ loaded }) => loaded), log: object.log };
  }

  #refuse(link: Link, request: LoadRequest): void {
    const ours = this.#held.get(link.index);
    if (ours !== undefined) {
      const wanted = request.mode;
      if (wanted !== "auto" && wanted !== ours.mode && !request.force) {
        throw new XdpctlError(
          "XDPCTL_E_MODE",
          `${link.name} has ${ours.instance.name} in ${ours.mode} mode; a replacement keeps the mode`,
          {
            remedy: `unload it first, or \`--force\` detaches and attaches again (packets pass in between)`,
          },
        );
      }
      return;
    }
    if (link.xdp.mode === "none" || request.force) return;
    throw new XdpctlError("XDPCTL_E_OCCUPIED", `${link.name} has a program that is not ours (id ${link.xdp.progId})`);
  }

  async #loadObject(resolved: ResolvedProgram, request: LoadRequest, targets: readonly Link[]): Promise<BpfObject> {
    const reuse = this.#reusable(resolved, targets);
    const ring = request.ringSize;
    if (ring !== undefined && !(ring >= 4096 && ring <= MAX_RING && Number.isInteger(Math.log2(ring)))) {
      throw new XdpctlError("XDPCTL_E_USAGE", `a ring of ${ring} bytes: the size is a power of two, 4096 to 1 GiB`, {
        remedy: "write --ring-size 4M",
      });
    }
    return await BpfObject.load(resolved.spec, {
      trusted: resolved.trusted,
      programs: [resolved.entry],
      ...(ring === undefined || reuse?.events !== undefined ? {} : { maxEntries: { events: ring } }),
      ...(reuse === undefined ? {} : { reuse }),
      ...(request.verifierLog === true ? { log: true } : {}),
    });
  }

  /** The maps of the same program where it is replaced by itself: rules, flows and counters stay. */
  #reusable(resolved: ResolvedProgram, targets: readonly Link[]): Attachment["instance"]["maps"] | undefined {
    const same = new Set<Instance>();
    for (const link of targets) {
      const held = this.#held.get(link.index);
      if (held?.instance.name === resolved.name) same.add(held.instance);
    }
    const [only] = same;
    if (only === undefined || same.size > 1) return undefined;
    const wanted = new Set(resolved.spec.maps);
    const kept = Object.entries(only.maps).filter(([name]) => wanted.has(name));
    if (kept.length !== wanted.size) return undefined;
    checkLayout(resolved.name, only.maps);
    return Object.fromEntries(kept);
  }

  #place(
    instance: Instance,
    link: Link,
    request: LoadRequest,
    undo: (() => void)[],
  ): { loaded: Loaded; retire: () => void } {
    const before = this.#held.get(link.index);
    if (before !== undefined && (request.mode === "auto" || request.mode === before.mode)) {
      before.link.update(instance.program);
      undo.push(() => {
        before.link.update(before.instance.program);
        this.#held.set(link.index, before);
        if (before.pinned) this.#pins.write(link.index, before.link, before.instance.program, before.instance.maps);
      });
      const attachment = this.#hold({ ...before, instance: instance.retain(), pinned: request.keep });
      undo.push(() => instance.release());
      this.#pin(attachment, before.pinned);
      const replaced = { program: before.instance.name, id: before.instance.id, ours: true };
      return { loaded: { attachment, replaced }, retire: () => before.instance.release() };
    }
    let replaced: Loaded["replaced"];
    if (before !== undefined) {
      replaced = { program: before.instance.name, id: before.instance.id, ours: true };
      this.detach(before);
    } else if (link.xdp.mode !== "none") {
      replaced = { program: foreignName(link.xdp.progId), id: link.xdp.progId, ours: false };
      detachForeign(this.#route, link);
    }
    const attached = attachNew(instance.program, link, request.mode);
    const attachment = this.#hold({
      ifindex: link.index,
      interface: link.name,
      mode: attached.mode,
      instance: instance.retain(),
      link: attached.link,
      pinned: request.keep,
    });
    undo.push(() => this.detach(attachment));
    this.#pin(attachment, false);
    return {
      loaded: {
        attachment,
        ...(attached.fallback === undefined ? {} : { fallback: attached.fallback }),
        ...(replaced === undefined ? {} : { replaced }),
      },
      retire: () => undefined,
    };
  }

  #hold(attachment: Attachment): Attachment {
    this.#held.set(attachment.ifindex, attachment);
    return attachment;
  }

  #pin(attachment: Attachment, before: boolean): void {
    const { ifindex, link, instance } = attachment;
    if (attachment.pinned) this.#pins.write(ifindex, link, instance.program, instance.maps);
    else if (before) this.#pins.remove(ifindex);
  }

  /** Takes ours off an interface, pins and all. */
  detach(attachment: Attachment): void {
    this.#held.delete(attachment.ifindex);
    this.#pins.remove(attachment.ifindex);
    attachment.link.detach();
    attachment.link.close();
    attachment.instance.release();
  }

  /** The link whose program `unload` would take off. Throws what `unload` throws, and changes nothing. */
  unloadable(name: string, force: boolean): Link {
    const link = this.link(name);
    if (this.#held.has(link.index)) return link;
    if (link.xdp.mode === "none") throw new XdpctlError("XDPCTL_E_NOT_ATTACHED", `${name} has no program`);
    if (!force)
      throw new XdpctlError("XDPCTL_E_OCCUPIED", `${name} has a program that is not ours (id ${link.xdp.progId})`, {
        remedy: "`--force` detaches it",
      });
    needCapabilities("detaching a program", "CAP_NET_ADMIN");
    return link;
  }

  /** Takes off whatever is there; what is not ours only with `force`. Throws XDPCTL_E_NOT_ATTACHED, XDPCTL_E_OCCUPIED. */
  unload(name: string, force: boolean): { interface: string; program: string; id: number } {
    const link = this.unloadable(name, force);
    const held = this.#held.get(link.index);
    if (held !== undefined) {
      const gone = { interface: link.name, program: held.instance.name, id: held.instance.id };
      this.detach(held);
      return gone;
    }
    const program = foreignName(link.xdp.progId);
    detachForeign(this.#route, link);
    return { interface: link.name, program, id: link.xdp.progId };
  }

  /** Takes an interface's present name; whether something of ours is on it and it had another one. */
  rename(ifindex: number, name: string): boolean {
    const held = this.#held.get(ifindex);
    if (held === undefined || held.interface === name) return false;
    this.#held.set(ifindex, { ...held, interface: name });
    return true;
  }

  /** Drops what belonged to an interface that is gone; undefined where nothing did. */
  forget(ifindex: number): Attachment | undefined {
    const held = this.#held.get(ifindex);
    if (held === undefined) return undefined;
    this.#held.delete(ifindex);
    this.#pins.remove(ifindex);
    held.link.close();
    held.instance.release();
    return held;
  }

  /** Lets go: what is pinned stays attached, the rest is detached by the kernel. */
  close(): void {
    for (const held of this.#held.values()) {
      // The kernel would detach at the last close, but only after a grace period: say it now.
      if (!held.pinned) held.link.detach();
      held.link.close();
      held.instance.release();
    }
    this.#held.clear();
    this.#route.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
