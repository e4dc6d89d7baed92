// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { XDP_PKT_CONTD } from "./abi.js";
import type { Engine } from "./engine.js";
import { checkReceived } from "./foreign.js";
import { OWNER } from "./owners.js";
import { Packet } from "./packet.js";

/** See `receive` of the socket. */
export function receivePackets(engine: Engine, n: number): Packet[] {
  const { umem } = engine;
  if (engine.sending !== 0) engine.reap();
  engine.timestamps?.deliver();
  engine.pay();
  if (engine.foreign) checkReceived(engine, n);
  const { rx, counters } = engine;
  const count = Math.min(n, rx.available());
  const packets: Packet[] = [];
  for (let i = 0; i < count; i++) {
    const slot = ((rx.consumer + i) & rx.mask) << 2;
    const address = rx.slots[slot] as number;
    const start = address + ((rx.slots[slot + 1] as number) >>> 16);
    const length = rx.slots[slot + 2] as number;
    const frame = umem.frameOf(address);
    umem.owners?.move(frame, OWNER.fill, OWNER.user);
    const more = ((rx.slots[slot + 3] as number) & XDP_PKT_CONTD) !== 0;
    if (more || engine.within) {
      // A frame of a packet of several.
      umem.give(frame, OWNER.user);
      engine.within = more;
      if (!more) counters.invalid++;
      continue;
    }
    packets.push(Packet.on(umem, frame, start, start + length));
    counters.receivedBytes += length;
  }
  if (count > 0) rx.release(count);
  counters.received += packets.length;
  counters.taken += packets.length;
  engine.owed += count;
  engine.pay();
  engine.wakeFill();
  return packets;
}

/** See `send` of the socket. */
export function sendPackets(engine: Engine, packets: Packet[]): number {
  const { umem } = engine;
  if (engine.sending !== 0) engine.reap();
  engine.timestamps?.deliver();
  const { metadata } = umem;
  const room = Math.min(packets.length, engine.room(packets.length));
  let sent = 0;
  try {
    for (; sent < room; sent++) {
      const packet = packets[sent] as Packet;
      if (packet.umem !== umem) throw new XdpctlError("XDPCTL_E_FRAME", "the packet is of another UMEM");
      packet.check();
      const { start, length } = packet;
      if (metadata !== undefined && !metadata.allows(packet, length))
        throw new XdpctlError("XDPCTL_E_FRAME", "a checksum was asked for outside of the packet");
      const frame = packet.leave();
      umem.owners?.move(frame, OWNER.user, OWNER.tx);
      engine.stage(start, length, metadata === undefined ? 0 : metadata.write(packet, frame, start, engine.timestamps));
    }
  } finally {
    packets.splice(0, sent);
    engine.flush();
  }
  return sent;
}
