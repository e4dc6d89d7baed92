/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What user space is told, and how much of it did not fit. */
#ifndef XDPCTL_EVENTS_H
#define XDPCTL_EVENTS_H

#include "parse.h"

/* One bit per enum event_type, from bit 0 for EVENT_FLOW; set before the program is loaded. */
const volatile __u32 event_mask = 0xf;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* Only its type matters: a ring buffer has none in BTF, so this is where readers find what its records are. */
const struct event *const record_type __attribute__((unused));

/* Events that did not fit into the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void emit(const struct packet *p, __u32 ifindex, __u64 now, __u8 type, __u8 verdict,
				 __u8 reason, __u8 prefix_len)
{
	struct event *event;

	if (!(event_mask & 1U << (type - 1)))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__u32 zero = 0;
		__u64 *counter = bpf_map_lookup_elem(&lost, &zero);

		if (counter)
			++*counter;
		return;
	}
	event->time_ns = now;
	event->ifindex = ifindex;
	event->type = type;
	event->verdict = verdict;
	event->reason = reason;
	event->proto = p->flow.proto;
	event->sport = p->flow.sport;
	event->dport = p->flow.dport;
	event->eth_proto = p->eth_proto;
	event->vlan = p->vlan;
	event->length = p->length;
	event->family = p->family;
	event->prefix_len = prefix_len;
	event->tcp_flags = p->tcp_flags;
	event->pad = 0;
	event->src = p->flow.src;
	event->dst = p->flow.dst;
	bpf_ringbuf_submit(event, 0);
}

#endif
