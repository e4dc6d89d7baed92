/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Gives frames to the AF_XDP socket of the queue that they came in by, all of them or those that a rule picks; everything
 * else, and what comes in by a queue without a socket, goes on to the network stack.
 */
#include "parse.h"
#include "stats.h"

#define MAX_RULES 16

/* 0: every frame is redirected, and none is parsed. */
const volatile __u32 rule_count = 0;
/* Whether the sockets take frames of several buffers (XDP_USE_SG); without, the kernel would drop those. */
const volatile bool multi_buffer = false;

/* A frame matches when all that the rule names does. Malformed frames match no rule. */
struct redirect_rule {
	struct in6_addr from; /* IPv4 is mapped (::ffff:a.b.c.d) */
	struct in6_addr from_mask;
	struct in6_addr to;
	struct in6_addr to_mask;
	__be16 sport;     /* 0: any */
	__be16 dport;     /* 0: any */
	__be16 eth_proto; /* 0: any */
	__u8 proto;       /* of IP; 0: any */
	__u8 pad;
};
_Static_assert(sizeof(struct redirect_rule) == 72, "user space writes 72 bytes");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct redirect_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

static __always_inline bool in_prefix(const struct in6_addr *address, const struct in6_addr *prefix,
				      const struct in6_addr *mask)
{
	__u32 differ = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differ |= (address->s6_addr32[i] ^ prefix->s6_addr32[i]) & mask->s6_addr32[i];
	return !differ;
}

static __always_inline bool matches(const struct packet *p, const struct redirect_rule *rule)
{
	if (rule->eth_proto && rule->eth_proto != p->eth_proto)
		return false;
	if (rule->proto && rule->proto != p->flow.proto)
		return false;
	if ((rule->sport || rule->dport) && !p->ports)
		return false;
	if (rule->sport && rule->sport != p->flow.sport)
		return false;
	if (rule->dport && rule->dport != p->flow.dport)
		return false;
	return in_prefix(&p->flow.src, &rule->from, &rule->from_mask) &&
	       in_prefix(&p->flow.dst, &rule->to, &rule->to_mask);
}

static __always_inline bool wanted(const struct packet *p)
{
	for (__u32 i = 0; i < MAX_RULES; i++) {
		__u32 key = i;
		struct redirect_rule *rule;

		if (i >= rule_count)
			break;
		rule = bpf_map_lookup_elem(&rules, &key);
		if (rule && matches(p, rule))
			return true;
	}
	return false;
}

SEC("xdp.frags")
int xsk(struct xdp_md *ctx)
{
	__u32 length = frame_length(ctx);
	__u8 proto = PROTO_NONE_IP;
	int verdict = XDP_PASS;
	bool takes = multi_buffer || length == ctx->data_end - ctx->data;

	if (takes && rule_count) {
		struct packet p = { .length = length };

		takes = parse(ctx, &p) && wanted(&p);
		proto = p.flow.proto;
	}
	if (takes)
		verdict = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
	count(ctx->ingress_ifindex, verdict, REASON_DEFAULT, proto, length);
	return verdict;
}

char _license[] SEC("license") = "Dual MIT/GPL";
