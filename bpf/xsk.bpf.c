/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Gives frames to the AF_XDP socket of the queue that they came in by, all of them or those that a rule picks; everything
 * else, and what comes in by a queue without a socket, goes on to the network stack.
 */
#include "capture.h"
#include "redirect.h"
#include "stats.h"

#define MAX_RULES 16

/* 0: every frame is redirected, and none is parsed. */
const volatile __u32 rule_count = 0;
/* Whether the sockets take frames of several buffers (XDP_USE_SG); without, the kernel would drop those. */
const volatile bool multi_buffer = false;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct redirect_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* as many as the interface has queues: set before it is loaded */
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* Frames that were redirected. `stats` has the rest: its look-up would cost as much as all else that is done here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter);
} redirected SEC(".maps");

static __always_inline void count_redirected(__u32 length)
{
	__u32 zero = 0;
	struct counter *counter = bpf_map_lookup_elem(&redirected, &zero);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
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
	if (verdict == XDP_REDIRECT)
		count_redirected(length);
	else
		count(ctx->ingress_ifindex, verdict, REASON_DEFAULT, proto, length);
	return report(ctx, verdict, REASON_DEFAULT);
}

char _license[] SEC("license") = "Dual MIT/GPL";
