// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import { GenericSocket } from "./generic.js";
import { u32 } from "./message.js";

const DEV_GET = 1;
const DEV = { IFINDEX: 1, XDP_FEATURES: 3, XSK_FEATURES: 6 } as const;

/** What a driver has, as bits of linux/netdev.h. */
export interface DeviceFeatures {
  /** enum netdev_xdp_act */
  readonly xdp: number;
  /** enum netdev_xsk_flags, of Linux 6.8. */
  readonly xsk: number;
}

const NONE: DeviceFeatures = { xdp: 0, xsk: 0 };

/** What the driver of an interface has of XDP and AF_XDP, by the `netdev` family (Linux 6.3); nothing where there is none. */
export function deviceFeatures(ifindex: number): DeviceFeatures {
  const socket = new GenericSocket();
  try {
    const family = socket.find("netdev");
    if (family === undefined) return NONE;
    const [answer] = socket.request(family, DEV_GET, u32(DEV.IFINDEX, ifindex), "asking for a driver's XDP features");
    const bits = (type: number): number => {
      const data = answer?.attributes.find((attribute) => attribute.type === type)?.data;
      // 64 bits, of which few are in use.
      return data === undefined || data.length < 4 ? 0 : data.readUInt32LE(0);
    };
    return { xdp: bits(DEV.XDP_FEATURES), xsk: bits(DEV.XSK_FEATURES) };
  } catch (error) {
    if (XdpctlError.is(error) && error.errno === errno.ENODEV) return NONE;
    throw error;
  } finally {
    socket.close();
  }
}
