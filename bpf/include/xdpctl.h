/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Layouts that the programs share with user space. User space reads them from BTF; the sizes are asserted. */
#ifndef XDPCTL_H
#define XDPCTL_H

#include <linux/bpf.h>
#include <linux/in6.h>
#include <linux/types.h>

#define OWNER_LEN 15

/* What `stats` counts as the protocol when it is none of TCP, UDP, ICMP, ICMPv6. */
#define PROTO_OTHER 254
#define PROTO_NONE_IP 255

/* Packed: one byte in `struct event`, and still named in BTF. */
enum reason {
	REASON_DEFAULT = 0,
	REASON_ALLOW = 1,
	REASON_DENY_PAIR = 2,
	REASON_DENY_ADDR = 3,
	REASON_DENY_PORT = 4,
	REASON_RATE = 5,
	REASON_MALFORMED = 6,
} __attribute__((packed));

enum event_type {
	EVENT_FLOW = 1,
	EVENT_DENY = 2,
	EVENT_RATE = 3,
	EVENT_MALFORMED = 4,
} __attribute__((packed));

struct stats_key {
	__u32 ifindex;
	__u8 verdict; /* enum xdp_action */
	__u8 reason;  /* enum reason */
	__u8 proto;   /* IP protocol, PROTO_OTHER or PROTO_NONE_IP */
	__u8 pad;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Addresses are 16 bytes everywhere but in the LPM keys; IPv4 is mapped (::ffff:a.b.c.d). */
struct event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 ifindex;
	enum event_type type;
	__u8 verdict; /* enum xdp_action */
	enum reason reason;
	__u8 proto; /* IP protocol; PROTO_NONE_IP */
	__be16 sport;
	__be16 dport;     /* ICMP: type and code, one byte each, and sport is 0 */
	__be16 eth_proto; /* after the VLAN tags */
	__u16 vlan;       /* outer VLAN id, host order, 0 without a tag */
	__u32 length;     /* of the frame, bytes */
	__u8 family;      /* 4, 6, or 0 */
	__u8 prefix_len;  /* of the rule that matched */
	__u8 tcp_flags;
	__u8 pad;
	struct in6_addr src;
	struct in6_addr dst;
};
_Static_assert(sizeof(struct event) == 64, "an event is one cache line");

struct flow_key {
	struct in6_addr src;
	struct in6_addr dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};

struct flow {
	__u64 first_ns;
	__u64 last_ns;
	__u64 packets;
	__u64 bytes;
	__u32 ifindex;
	__u32 pad;
};

struct lpm_v4_key {
	__u32 prefix_len;
	__be32 addr;
};

struct lpm_v6_key {
	__u32 prefix_len;
	struct in6_addr addr;
};

/* Address and port together: the trie's prefix covers protocol and port (32 bits) and then the address. */
struct pair_v4_key {
	__u32 prefix_len; /* 32 + address prefix */
	__u8 proto;       /* 0: TCP and UDP */
	__u8 pad;
	__be16 port;
	__be32 addr;
};

struct pair_v6_key {
	__u32 prefix_len;
	__u8 proto;
	__u8 pad;
	__be16 port;
	struct in6_addr addr;
};

struct port_key {
	__be16 port;
	__u8 proto; /* 0: TCP and UDP */
	__u8 pad;
};

struct rule {
	__u64 expires_ns; /* CLOCK_MONOTONIC; 0: never */
	__u64 hits;
	char owner[OWNER_LEN]; /* the policy that wrote it; empty: a person */
	__u8 prefix_len;       /* of the address in the key, for the events: a lookup doesn't tell; 0 for ports */
};
_Static_assert(sizeof(struct rule) == 32, "user space writes 32 bytes");

struct limit_rule {
	__u64 expires_ns;
	__u64 hits; /* packets it dropped */
	char owner[OWNER_LEN];
	__u8 prefix_len;
	__u32 rate;  /* packets per second and source */
	__u32 burst; /* packets */
};

/* Generic cell rate: the time at which the bucket of a source will be full again. */
struct bucket {
	__u64 full_ns;
};

/* What a program says of the frame that it hands to a capture (capture.h); per CPU. */
struct capture_note {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 verdict; /* enum xdp_action */
	__u32 reason;  /* enum reason */
};
_Static_assert(sizeof(struct capture_note) == 16, "user space checks 16 bytes");

/* Verdict of a frame whose program was not ours: it is not known yet when the frame is captured. */
#define VERDICT_UNKNOWN 0xffffffffU

/* A captured frame in the ring: its bytes follow. The record may be longer than they are. */
struct capture_record {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 ifindex;
	__u32 queue;    /* of the interface's receive queues */
	__u32 verdict;  /* enum xdp_action, or VERDICT_UNKNOWN */
	__u32 reason;   /* enum reason */
	__u32 length;   /* of the frame, bytes */
	__u32 captured; /* of these, how many follow */
};
_Static_assert(sizeof(struct capture_record) == 32, "user space reads the frame behind 32 bytes");

#endif
