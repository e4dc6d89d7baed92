// SPDX-License-Identifier: MIT
import { openRoute } from "../../netlink/index.js";
import type { XskSocket } from "../../xsk/index.js";

/** What the kernel says of the interface of a socket. */
export interface InterfaceFacts {
  /** `02:00:00:00:00:01` */
  readonly mac: string;
  readonly addresses: readonly string[];
  /** Its other end may leave checksums to it, as to a device. */
  readonly veth: boolean;
}

export function interfaceFacts(nic: XskSocket): InterfaceFacts {
  const route = openRoute();
  try {
    const link = route.link(nic.ifindex);
    const addresses = route.addresses().filter(({ index }) => index === nic.ifindex);
    return {
      mac: link?.address ?? "",
      addresses: addresses.map(({ address }) => address),
      veth: link?.kind === "veth",
    };
  } finally {
    route.close();
  }
}
