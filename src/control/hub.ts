// SPDX-License-Identifier: MIT
import { EVENT_TYPES, type EventType, type XdpctlEvent } from "../events/index.js";
import type { Streams } from "../rpc/index.js";

type Reader = { wanted: ReadonlySet<EventType>; interface: string | undefined; item: (event: XdpctlEvent) => void };

/** The one event stream: whoever subscribes sees every event from then on. */
export class Hub {
  readonly #readers = new Set<Reader>();

  /** How many read packet events: without one, records are not even decoded. */
  get packetReaders(): number {
    let n = 0;
    for (const { wanted } of this.#readers) if (PACKET.some((type) => wanted.has(type))) n++;
    return n;
  }

  /** Returns what ends the subscription. */
  subscribe(params: Streams["events"]["params"], item: (event: XdpctlEvent) => void): () => void {
    const reader = { wanted: new Set(params.types ?? EVENT_TYPES), interface: params.interface, item };
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  publish(event: XdpctlEvent): void {
    for (const reader of this.#readers) {
      if (!reader.wanted.has(event.type)) continue;
      if (reader.interface !== undefined && "interface" in event && event.interface !== reader.interface) continue;
      reader.item(event);
    }
  }
}

const PACKET: readonly EventType[] = ["flow", "deny", "rate", "malformed"];
