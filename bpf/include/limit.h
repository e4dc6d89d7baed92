/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * A token bucket per source, kept as one number: the time at which it will be full again (the generic cell rate
 * algorithm, ITU-T I.371). One compare-and-swap takes a token, so CPUs need no lock.
 */
#ifndef XDPCTL_LIMIT_H
#define XDPCTL_LIMIT_H

#include "rules.h"

#define NSEC_PER_SEC 1000000000ULL
#define MAX_SWAPS 16

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* Takes a token from the source's bucket; false when there is none. Rate 0 has no tokens at all. */
static __always_inline bool take_token(const struct packet *p, __u32 rate, __u32 burst, __u64 now)
{
	struct bucket *bucket;
	__u64 interval, depth;

	if (!rate)
		return false;
	interval = NSEC_PER_SEC / rate;
	depth = interval * burst; /* < 2^62 */
	if (interval > depth)
		return false;

	bucket = bpf_map_lookup_elem(&buckets, &p->flow.src);
	if (!bucket) {
		struct bucket first = { .full_ns = now + interval };

		if (!bpf_map_update_elem(&buckets, &p->flow.src, &first, BPF_NOEXIST))
			return true;
		bucket = bpf_map_lookup_elem(&buckets, &p->flow.src);
		if (!bucket)
			return true; /* no memory for buckets: better to pass than to shut out everybody */
	}
	for (int i = 0; i < MAX_SWAPS; i++) {
		__u64 full = *(volatile __u64 *)&bucket->full_ns;
		__u64 missing = full > now ? full - now : 0;
		bool taken = missing + interval <= depth;
		__u64 next = now + missing + interval;

		if (!taken) {
			/* Filled under a rule with a deeper bucket: it can't be emptier than empty. */
			if (missing <= depth)
				return false;
			next = now + depth;
		}
		if (__sync_val_compare_and_swap(&bucket->full_ns, full, next) == full)
			return taken;
	}
	return false;
}

#endif
