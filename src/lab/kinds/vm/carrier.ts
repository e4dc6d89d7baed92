// SPDX-License-Identifier: MIT
import { Loop } from "../../../loop/index.js";
import { monitorLinks } from "../../../netlink/index.js";
import type { Guest } from "../../../vm/index.js";
import type { GuestNic } from "./files.js";

/**
 * Gives each NIC of a guest the carrier of its link's end on the host, in whose network namespace this runs, until the
 * function that it returns is called: between the two is a bridge, which passes no carrier on.
 */
export function followCarriers(guest: Guest, nics: readonly GuestNic[]): () => void {
  const known = nics.map(() => true);
  // One after another: the last word is the last change.
  let told = Promise.resolve();
  const tell = (index: number, carrier: boolean): void => {
    const i = nics.findIndex(({ end }) => end === index);
    if (i < 0 || known[i] === carrier) return;
    known[i] = carrier;
    told = told.then(() => guest.setCarrier(i, carrier));
  };
  const loop = new Loop();
  const monitor = monitorLinks(loop, (_event, link) => {
    if (link !== undefined) tell(link.index, link.carrier);
  });
  for (const { index, carrier } of monitor.links) tell(index, carrier);
  return () => {
    monitor.close();
    loop[Symbol.dispose]();
  };
}
