/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The flows that passed, by addresses, ports and protocol, one entry per direction; the oldest make room. */
#ifndef XDPCTL_FLOWS_H
#define XDPCTL_FLOWS_H

#include "parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Counts the packet to its flow; true when it is the first of the flow. */
static __always_inline bool touch_flow(const struct packet *p, __u32 ifindex, __u64 now)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &p->flow);

	if (!flow) {
		struct flow first = {
			.first_ns = now,
			.last_ns = now,
			.packets = 1,
			.bytes = p->length,
			.ifindex = ifindex,
		};

		if (!bpf_map_update_elem(&flows, &p->flow, &first, BPF_NOEXIST))
			return true;
		flow = bpf_map_lookup_elem(&flows, &p->flow);
		if (!flow)
			return false;
	}
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, p->length);
	flow->last_ns = now;
	return false;
}

#endif
