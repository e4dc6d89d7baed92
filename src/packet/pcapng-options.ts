// SPDX-License-Identifier: MIT

/** draft-ietf-opsawg-pcapng: the Enhanced Packet Block, and its options. */
export const ENHANCED_PACKET = 6;
export const OPT_COMMENT = 1;
export const EPB_FLAGS = 2;
export const EPB_DROPCOUNT = 4;
export const EPB_PACKETID = 5;
export const EPB_QUEUE = 6;
export const EPB_VERDICT = 7;
/** The verdict is that of an XDP program in eBPF on Linux; 8 bytes of `enum xdp_action` follow. */
export const VERDICT_XDP = 2;
