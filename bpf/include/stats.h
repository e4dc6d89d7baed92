/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Counters per interface, verdict, reason and protocol: every program carries this map. */
#ifndef XDPCTL_STATS_H
#define XDPCTL_STATS_H

#include "length.h"
#include "xdpctl.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct stats_key);
	__type(value, struct counter);
} stats SEC(".maps");

static __always_inline void count(__u32 ifindex, __u32 verdict, __u8 reason, __u8 proto, __u32 length)
{
	struct stats_key key = { .ifindex = ifindex, .verdict = verdict, .reason = reason, .proto = proto };
	struct counter *counter = bpf_map_lookup_elem(&stats, &key);

	if (!counter) {
		struct counter first = {};

		/* Another CPU may have made it meanwhile: whoever did, it is there now unless the map is full. */
		bpf_map_update_elem(&stats, &key, &first, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&stats, &key);
		if (!counter)
			return;
	}
	counter->packets++;
	counter->bytes += length;
}

#endif
