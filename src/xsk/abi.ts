// SPDX-License-Identifier: MIT

/** linux/if_xdp.h */
export const XDP_SHARED_UMEM = 1 << 0;
export const XDP_COPY = 1 << 1;
export const XDP_ZEROCOPY = 1 << 2;
export const XDP_USE_NEED_WAKEUP = 1 << 3;
/** Linux 6.6. */
export const XDP_USE_SG = 1 << 4;

export const XDP_UMEM_UNALIGNED_CHUNK_FLAG = 1 << 0;
/** Linux 6.8: the kernel computes the checksums that are asked for itself, in copy mode. */
export const XDP_UMEM_TX_SW_CSUM = 1 << 1;
/** Linux 6.11, and the stable releases of 6.8 to 6.10: `tx_metadata_len` counts. */
export const XDP_UMEM_TX_METADATA_LEN = 1 << 2;

/** Socket options at SOL_XDP. */
export const XDP_MMAP_OFFSETS = 1;
export const XDP_RX_RING = 2;
export const XDP_TX_RING = 3;
export const XDP_UMEM_REG = 4;
export const XDP_UMEM_FILL_RING = 5;
export const XDP_UMEM_COMPLETION_RING = 6;
export const XDP_STATISTICS = 7;
export const XDP_OPTIONS = 8;
/** Linux 6.17: how many packets one wake-up sends in copy mode. */
export const XDP_MAX_TX_SKB_BUDGET = 9;

export const XDP_OPTIONS_ZEROCOPY = 1 << 0;

/** A bit of a ring's flags: the kernel sleeps until it is called. */
export const XDP_RING_NEED_WAKEUP = 1;

/** Where mmap(2) of the socket finds each ring. */
export const PAGE_OFFSET = { rx: 0, tx: 0x8000_0000, fill: 0x1_0000_0000, completion: 0x1_8000_0000 } as const;

/** In a descriptor's options (Linux 6.6): the packet goes on in the next descriptor. */
export const XDP_PKT_CONTD = 1 << 0;
/** In a descriptor's options (Linux 6.8): `struct xsk_tx_metadata` lies in front of the packet. */
export const XDP_TX_METADATA = 1 << 1;

/** `struct xsk_tx_metadata`: flags, then what is asked for, where later the time of completion is. */
export const TX_METADATA_BYTES = 24;
export const XDP_TXMD_FLAGS_TIMESTAMP = 1 << 0;
export const XDP_TXMD_FLAGS_CHECKSUM = 1 << 1;
/** Linux 6.15. */
export const XDP_TXMD_FLAGS_LAUNCH_TIME = 1 << 2;

/** What the kernel leaves free in front of a received packet, besides the UMEM's own headroom. */
export const XDP_PACKET_HEADROOM = 256;

/** 32-bit words of a descriptor: `struct xdp_desc` (address, length, options), or a 64-bit address. */
export const DESCRIPTOR_WORDS = 4;
export const ADDRESS_WORDS = 2;
