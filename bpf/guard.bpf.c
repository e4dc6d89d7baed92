/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * guard: malformed frames drop; then allow, deny, and the limit per source decide, in this order; the rest passes.
 * Non-IP frames always pass; later fragments and protocols without ports match rules by address only.
 *
 * Of what would pass by default, policies may see packets: what one of `redirects` picks goes to the AF_XDP socket of its
 * queue, and to the network stack where there is none. What a person allowed goes straight to the stack.
 */
#include "capture.h"
#include "events.h"
#include "flows.h"
#include "limit.h"
#include "parse.h"
#include "redirect.h"
#include "rules.h"
#include "stats.h"

#define MAX_REDIRECTS 32
#define MAX_SOCKETS 256
/* Longer frames can't be passed on: a live test run has that much room in a page, less the mark below. */
#define MAX_SEEN 3384

/* A list: it ends before the first that has no queues. */
struct guard_redirect {
	struct redirect_rule rule;
	__u32 ifindex;
	__u32 first; /* where in `xsks` the sockets of the interface begin */
	__u32 queues;
	__u32 unseen; /* what becomes of frames that user space can't have: XDP_PASS or XDP_DROP */
	/*
	 * In generic mode the program runs in the network stack, so it sees again what user space passes on. That has
	 * these bytes in front of it, as metadata, which nobody else can guess. Zeros in native mode.
	 */
	__u32 passed[4];
};
_Static_assert(sizeof(struct guard_redirect) == 104, "user space writes 104 bytes");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_REDIRECTS);
	__type(key, __u32);
	__type(value, struct guard_redirect);
} redirects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_SOCKETS);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct decision {
	__u8 verdict;
	__u8 reason;
	__u8 event; /* enum event_type, or 0 */
	__u8 prefix_len;
};

static __always_inline bool is_allowed(const struct packet *p, __u64 now)
{
	if (p->ports && match_pair(&allow_pair_v4, &allow_pair_v6, p, now))
		return true;
	if (match(lookup_prefix(&allow_v4, &allow_v6, p, now), now))
		return true;
	return p->ports && match_port(&allow_port, p, now);
}

static __always_inline bool is_denied(const struct packet *p, __u64 now, struct decision *d)
{
	struct rule *rule;

	if (p->ports) {
		d->reason = REASON_DENY_PAIR;
		rule = match_pair(&deny_pair_v4, &deny_pair_v6, p, now);
		if (rule)
			goto denied;
	}
	d->reason = REASON_DENY_ADDR;
	rule = match(lookup_prefix(&deny_v4, &deny_v6, p, now), now);
	if (rule)
		goto denied;
	if (p->ports) {
		d->reason = REASON_DENY_PORT;
		rule = match_port(&deny_port, p, now);
		if (rule)
			goto denied;
	}
	return false;

denied:
	d->verdict = XDP_DROP;
	d->event = EVENT_DENY;
	d->prefix_len = rule->prefix_len;
	return true;
}

static __always_inline bool is_limited(const struct packet *p, __u64 now, struct decision *d)
{
	struct limit_rule *rule = (void *)lookup_prefix(&limit_v4, &limit_v6, p, now);

	if (!rule || take_token(p, rule->rate, rule->burst, now))
		return false;
	__sync_fetch_and_add(&rule->hits, 1);
	d->verdict = XDP_DROP;
	d->reason = REASON_RATE;
	d->event = EVENT_RATE;
	d->prefix_len = rule->prefix_len;
	return true;
}

static __always_inline __u8 counted_proto(const struct packet *p)
{
	switch (p->flow.proto) {
	case IPPROTO_ICMP:
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_ICMPV6:
		return p->flow.proto;
	default:
		return p->family ? PROTO_OTHER : PROTO_NONE_IP;
	}
}

/* Whether a policy has seen the frame, and passed it on. */
static __always_inline bool is_passed(struct xdp_md *ctx, const struct guard_redirect *r)
{
	const int size = sizeof(r->passed);
	__u32 *meta;
	bool same;

	if (!r->passed[0] || bpf_xdp_adjust_meta(ctx, -size))
		return false;
	meta = (void *)(long)ctx->data_meta;
	same = (void *)(meta + 4) <= (void *)(long)ctx->data && meta[0] == r->passed[0] && meta[1] == r->passed[1] &&
	       meta[2] == r->passed[2] && meta[3] == r->passed[3];
	bpf_xdp_adjust_meta(ctx, size);
	return same;
}

/*
 * XDP_REDIRECT where a policy is to see the packet, else XDP_PASS. Where it can't, as the sockets take frames of one buffer
 * alone, XDP_DROP if any of those that would have seen it says so.
 */
static __always_inline int to_policy(struct xdp_md *ctx, const struct packet *p)
{
	bool fits = p->length <= MAX_SEEN && p->length == ctx->data_end - ctx->data;

	for (__u32 i = 0; i < MAX_REDIRECTS; i++) {
		__u32 key = i;
		struct guard_redirect *r = bpf_map_lookup_elem(&redirects, &key);

		if (!r || !r->queues)
			break;
		if (r->ifindex != ctx->ingress_ifindex || ctx->rx_queue_index >= r->queues || !matches(p, &r->rule))
			continue;
		if (!fits) {
			if (r->unseen == XDP_DROP)
				return XDP_DROP;
			continue;
		}
		return is_passed(ctx, r) ? XDP_PASS :
		       bpf_redirect_map(&xsks, r->first + ctx->rx_queue_index, XDP_PASS);
	}
	return XDP_PASS;
}

SEC("xdp.frags")
int guard(struct xdp_md *ctx)
{
	struct packet p = {};
	struct decision d = { .verdict = XDP_PASS };
	__u32 ifindex = ctx->ingress_ifindex;
	__u64 now = bpf_ktime_get_ns();

	p.length = frame_length(ctx);
	if (!parse(ctx, &p)) {
		d.verdict = XDP_DROP;
		d.reason = REASON_MALFORMED;
		d.event = EVENT_MALFORMED;
	} else if (p.family) {
		if (is_allowed(&p, now))
			d.reason = REASON_ALLOW;
		else if (!is_denied(&p, now, &d) && !is_limited(&p, now, &d))
			d.reason = REASON_DEFAULT;
		if (d.verdict == XDP_PASS && p.fragment != FRAGMENT_LATER && touch_flow(&p, ifindex, now))
			d.event = EVENT_FLOW;
	}
	if (d.verdict == XDP_PASS && d.reason != REASON_ALLOW)
		d.verdict = to_policy(ctx, &p);
	if (d.event)
		emit(&p, ifindex, now, d.event, d.verdict, d.reason, d.prefix_len);
	count(ifindex, d.verdict, d.reason, counted_proto(&p), p.length);
	return report(ctx, d.verdict, d.reason);
}

char _license[] SEC("license") = "Dual MIT/GPL";
