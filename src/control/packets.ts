// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { Loop } from "../loop/index.js";
import { FrameView } from "../packet/index.js";
import { OFFERED, PACKET_VERDICT, type PacketFeed, type PacketFilter } from "../policy/index.js";
import type { Attachment, Attachments, Instance } from "../xdp/index.js";
import { newMark, PacketExits } from "./packet-exits.js";
import { PacketPort } from "./packet-port.js";
import {
  encodeRedirect,
  MOST_REDIRECTS,
  nameOf,
  obstacleTo,
  type PortGroup,
  redirectMaps,
  removeSockets,
  roomFor,
  writeRedirects,
  writeSockets,
} from "./packet-redirects.js";
import { asksOf, compileFilters, isNews, type Listener, PacketTaker } from "./packet-takers.js";

export interface PacketsHost {
  readonly loop: Loop;
  readonly attachments: Attachments;
  log(policy: string, text: string): void;
}

/**
 * Packets for policies: asks the guards for them, owns the AF_XDP sockets that they come by, hands copies to the policies'
 * workers, one policy after the other, and does what they answer. A policy has nothing of the kernel's, so its worker may
 * end at any time.
 */
export class Packets implements Disposable {
  readonly #host: PacketsHost;
  readonly #listeners = new Map<PacketFeed, Listener>();
  readonly #groups = new Map<number, PortGroup>();
  readonly #ports = new Map<number, PacketPort>();
  /** By interface: the policies that see its packets, in the order in which they were loaded. */
  readonly #takers = new Map<number, PacketTaker[]>();
  readonly #frame = new FrameView();
  /** Guards that have a list of ours. */
  readonly #asked = new Set<Instance>();
  #lastPort = 0;
  #lastOrder = 0;
  readonly #exits = new PacketExits();

  constructor(host: PacketsHost) {
    this.#host = host;
  }

  /** For `fib_lookup`: the program that asks the routing table, or why there is none. */
  get fib(): number | string {
    return this.#exits.fib;
  }

  /** A policy asks for packets from now on; no filters: not any more. */
  listen(policy: string, feed: PacketFeed, filters: readonly PacketFilter[]): void {
    this.count();
    const known = this.#listeners.get(feed);
    if (filters.length === 0) {
      if (known === undefined) return;
      known.asks = [];
      for (const [ifindex, takers] of this.#takers)
        this.#takers.set(
          ifindex,
          takers.filter((taker) => taker.feed !== feed),
        );
      this.#leave(known);
    } else if (known !== undefined) known.asks = compileFilters(filters);
    else {
      const watch = this.#host.loop.watch(feed.answered.fd, () => {
        this.#answers(listener);
        if (listener.asks.length === 0) this.#leave(listener);
      });
      const order = ++this.#lastOrder;
      const listener: Listener = { policy, feed, order, asks: compileFilters(filters), watch, told: new Set() };
      this.#listeners.set(feed, listener);
    }
    this.follow();
  }

  /** Counts what the sockets had no room for as lost, for every policy that may have asked for it. */
  count(): void {
    for (const { ifindex, ports } of this.#groups.values())
      for (const port of ports) this.#missed(ifindex, port.missed());
  }

  /** It asks for nothing any more; it is forgotten once its worker has answered all that it was shown. */
  #leave(listener: Listener): void {
    const { feed, watch } = listener;
    while (this.#answers(listener) > 0);
    if (feed.waiting || this.#listeners.get(feed) !== listener) return;
    watch.close();
    this.#listeners.delete(feed);
  }

  /** Programs or links have changed. */
  follow(): void {
    if (this.#listeners.size === 0 && this.#groups.size === 0) return;
    const wanted = this.#host.attachments.all.filter((held) => this.#wanted(held));
    for (const group of [...this.#groups.values()])
      if (
        !wanted.some(
          (held) => held.ifindex === group.ifindex && (held.mode === "native") === (group.mark === undefined),
        )
      )
        this.#close(group);
    const lists = new Map<Instance, Buffer[]>();
    for (const held of wanted) this.#ask(held, lists);
    for (const { instance } of this.#host.attachments.all) {
      const maps = redirectMaps(instance);
      const list = lists.get(instance) ?? [];
      if (maps?.redirects === undefined || (list.length === 0 && !this.#asked.has(instance))) continue;
      writeRedirects(maps.redirects, list.slice(0, MOST_REDIRECTS));
      if (list.length > 0) this.#asked.add(instance);
      else this.#asked.delete(instance);
    }
    this.#explain();
  }

  #wanted(held: Attachment): boolean {
    const maps = redirectMaps(held.instance);
    if (maps === undefined) return false;
    const own = maps.redirects === undefined;
    if (own && obstacleTo(held, this.#host.attachments.all) !== undefined) return false;
    return [...this.#listeners.values()].some((listener) => asksOf(listener, held.interface, own).length > 0);
  }

  /** Adds what is asked of an interface to its guard's list, with sockets to go to. */
  #ask(held: Attachment, lists: Map<Instance, Buffer[]>): void {
    const maps = redirectMaps(held.instance);
    const group = this.#groups.get(held.ifindex) ?? this.#open(held);
    if (maps === undefined || group === undefined) return;
    const own = maps.redirects === undefined;
    if (!writeSockets(maps.xsks, group, own ? 0 : group.first))
      this.#tell(held.interface, "its program's map xsks has no room for all of its queues");
    const list = lists.get(held.instance) ?? [];
    const takers: PacketTaker[] = [];
    for (const listener of this.#listeners.values()) {
      const asks = asksOf(listener, held.interface, own);
      if (own) listener.feed.tagged.add(held.ifindex);
      else listener.feed.tagged.delete(held.ifindex);
      if (asks.length > 0) takers.push(new PacketTaker(listener.feed, listener.order, asks));
      for (const { filter } of asks) list.push(encodeRedirect(filter, group));
    }
    if (!own && list.length > MOST_REDIRECTS)
      this.#tell(held.interface, `a guard takes ${MOST_REDIRECTS} packet filters: the last are left out`);
    lists.set(held.instance, list);
    this.#takers.set(held.ifindex, takers);
  }

  #open(held: Attachment): PortGroup | undefined {
    try {
      const mark = held.mode === "generic" ? newMark() : undefined;
      const ports = PacketPort.openAll(held.interface, () => ++this.#lastPort);
      const group = { ifindex: held.ifindex, first: roomFor(this.#groups.values(), ports.length), ports, mark };
      this.#groups.set(held.ifindex, group);
      for (const port of ports) {
        this.#ports.set(port.id, port);
        port.serve(
          this.#host.loop,
          ({ bytes, start, end }) => this.#arrived(port, bytes, start, end),
          (error) => {
            this.#close(group);
            this.#tell(held.interface, error.message);
          },
        );
      }
      return group;
    } catch (error) {
      this.#tell(held.interface, XdpctlError.wrap(error).message);
      return undefined;
    }
  }

  #close(group: PortGroup): void {
    if (this.#groups.get(group.ifindex) !== group) return;
    this.#drain(group);
    this.#groups.delete(group.ifindex);
    this.#takers.delete(group.ifindex);
    if (group.mark !== undefined) this.#exits.forget(group.mark);
    for (const port of group.ports) {
      this.#ports.delete(port.id);
      port.close();
    }
  }

  /** What came in before the sockets go is shown, or passed on. */
  #drain(group: PortGroup): void {
    removeSockets(this.#host.attachments.all, group);
    for (const port of group.ports) {
      const lost = port.drain((bytes, start, end) => this.#arrived(port, bytes, start, end));
      this.#missed(port.ifindex, lost + port.missed());
    }
  }

  /** Packets that no policy could see, and that any of the interface's may have asked for. */
  #missed(ifindex: number, count: number): void {
    if (count === 0) return;
    for (const { feed } of this.#takers.get(ifindex) ?? []) feed.missed(count);
  }

  #arrived({ ifindex, id }: PacketPort, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#offer(ifindex, id, 0, bytes, start, end)) this.#missed(ifindex, 1);
  }

  /** Shows a frame to the next policy behind `order` that asked for it; when all have passed it, to the network stack; false where it does not take it. */
  #offer(ifindex: number, port: number, order: number, bytes: Uint8Array, start: number, end: number): boolean {
    const takers = this.#takers.get(ifindex);
    if (takers !== undefined) {
      const frame = this.#frame;
      frame.at(bytes, start, end);
      for (let i = 0; i < takers.length; i++) {
        const taker = takers[i] as PacketTaker;
        if (taker.order <= order) continue;
        const fallback = taker.fallback(frame);
        if (fallback < 0) continue;
        if (taker.feed.offer(bytes, start, end, ifindex, port, fallback) !== OFFERED.absent) return true;
        if (fallback === PACKET_VERDICT.drop) return true;
      }
    }
    return this.#pass(ifindex, bytes, start, end);
  }

  /** Does what a policy has answered, as much as is one turn's. The interface's sockets may be gone by now. Returns how many. */
  #answers(listener: Listener): number {
    const { feed, order } = listener;
    const { ring } = feed;
    const repliers = new Set<PacketPort>();
    const taken = feed.take((verdict, n) => {
      if (verdict === PACKET_VERDICT.drop) return;
      if (verdict === PACKET_VERDICT.reply) {
        const port = this.#ports.get(ring.port(n));
        if (port === undefined) return feed.missed(1);
        if (!port.fits(ring.bytes, ring.start(n), ring.end(n))) {
          this.#say(listener, `${port.socket.interface}: replies can't be sent: they are longer than its MTU allows`);
          return feed.missed(1);
        }
        port.reply(n);
        repliers.add(port);
      } else if (verdict === PACKET_VERDICT.redirect) this.#redirect(listener, n);
      else if (!this.#offer(ring.ifindex(n), ring.port(n), order, ring.bytes, ring.start(n), ring.end(n)))
        feed.missed(1);
    });
    // The slots are free, but only this thread writes into them.
    for (const port of repliers) feed.missed(port.flush(feed));
    return taken;
  }

  #redirect(listener: Listener, n: number): void {
    const { feed } = listener;
    const { ring } = feed;
    const problem = this.#exits.redirect(ring.bytes, ring.start(n), ring.end(n), ring.out(n));
    if (problem === undefined) return;
    feed.missed(1);
    this.#say(listener, `${nameOf(ring.ifindex(n))}: ${problem}`);
  }

  /** Into the network stack, as if it had just come in. */
  #pass(ifindex: number, bytes: Uint8Array, start: number, end: number): boolean {
    const mark = this.#groups.get(ifindex)?.mark;
    const problem = this.#exits.pass(bytes, start, end, ifindex, mark);
    if (problem !== undefined) this.#tell(nameOf(ifindex), problem);
    return problem === undefined;
  }

  /** Once to each policy that has to do with the interface. */
  #tell(name: string, text: string): void {
    for (const listener of this.#listeners.values())
      if (asksOf(listener, name).length > 0) this.#say(listener, `${name}: ${text}`);
  }

  #say(listener: Listener, line: string): void {
    if (isNews(listener, line)) this.#host.log(listener.policy, line);
  }

  /** Says which packets are not seen, and why. */
  #explain(): void {
    const { all } = this.#host.attachments;
    const guarded = all.some(({ instance }) => redirectMaps(instance)?.redirects !== undefined);
    for (const listener of this.#listeners.values())
      for (const { filter } of listener.asks) {
        const { interface: name } = filter;
        const held = all.find((one) => one.interface === name);
        if (name === undefined && !guarded)
          this.#say(listener, "no interface has a guard: packets are not seen until one has");
        if (name === undefined || this.#groups.has(held?.ifindex ?? -1)) continue;
        const maps = held === undefined ? undefined : redirectMaps(held.instance);
        if (held === undefined || maps === undefined)
          this.#tell(name, "no guard is there: its packets are not seen until then");
        else if (maps.redirects === undefined)
          this.#tell(name, obstacleTo(held, this.#host.attachments.all) ?? "its packets are not seen");
      }
  }

  [Symbol.dispose](): void {
    for (const { watch } of this.#listeners.values()) watch.close();
    this.#listeners.clear();
    this.follow();
    this.#exits[Symbol.dispose]();
  }
}
