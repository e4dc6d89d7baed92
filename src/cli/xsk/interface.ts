// SPDX-License-Identifier: MIT
import { openRoute } from "../../netlink/index.js";

/** What the kernel says of an interface. */
export interface InterfaceFacts {
  /** `02:00:00:00:00:01` */
  readonly mac: string;
  readonly addresses: readonly string[];
  /** Bytes. */
  readonly mtu: number;
  /** Its other end may leave checksums to it, as to a device. */
  readonly veth: boolean;
}

/** By its name or its number. */
export function interfaceFacts(which: string | number): InterfaceFacts {
  const route = openRoute();
  try {
    const link = route.link(which);
    const addresses = route.addresses().filter(({ index }) => index === link?.index);
    return {
      mac: link?.address ?? "",
      addresses: addresses.map(({ address }) => address),
      mtu: link?.mtu ?? Number.POSITIVE_INFINITY,
      veth: link?.kind === "veth",
    };
  } finally {
    route.close();
  }
}
