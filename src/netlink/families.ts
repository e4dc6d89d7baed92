// SPDX-License-Identifier: MIT
import { FamilyCodec } from "./generic-codec.js";

/** The family of kmod/genl-echo: `echo` is answered with the same text; `event` comes to the group `events`. */
export const ECHO = new FamilyCodec(
  "ECHO",
  1,
  { echo: 1, event: 2 },
  {
    message: [1, "text"],
    seq: [2, "u32"],
    /** Nanoseconds of CLOCK_MONOTONIC. */
    time: [3, "u64"],
  },
);

/**
 * The family of the MPTCP detour path manager (github.com/brenns10/thesis, doc/NETLINK.md): the kernel asks the group
 * `detour_req` for detours to a remote (`req`), which are added and deleted. Addresses and ports are in network order.
 */
export const DETOUR = new FamilyCodec(
  "DETOUR",
  1,
  { echo: 1, add: 2, del: 3, req: 4, stat: 5 },
  {
    detourIp: [1, "ipv4"],
    detourPort: [2, "port"],
    remoteIp: [3, "ipv4"],
    remotePort: [4, "port"],
    ifname: [5, "ifname"],
  },
);
