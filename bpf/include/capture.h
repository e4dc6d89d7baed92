/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * How a program lets its frames be seen, with its verdict: at its end, `return report(ctx, verdict, reason)`. While
 * nobody looks that is one read of an array. Who looks puts a program of his own into `capture_hook` (bpf/capture.bpf.c)
 * and says in `capture_until` how long; that program answers with the verdict that was noted.
 */
#ifndef XDPCTL_CAPTURE_H
#define XDPCTL_CAPTURE_H

#include "xdpctl.h"
#include <bpf/bpf_helpers.h>

/* CLOCK_MONOTONIC, ns; 0: nobody looks. It runs out by itself when who looks was killed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} capture_until SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture_note);
} capture_note SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} capture_hook SEC(".maps");

static __always_inline int report(struct xdp_md *ctx, __u32 verdict, __u32 reason)
{
	__u32 zero = 0;
	__u64 *until = bpf_map_lookup_elem(&capture_until, &zero);
	struct capture_note *note;
	__u64 now;

	if (!until || !*until)
		return verdict;
	now = bpf_ktime_get_ns();
	if (now > *until) {
		*until = 0;
		return verdict;
	}
	note = bpf_map_lookup_elem(&capture_note, &zero);
	if (note) {
		note->time_ns = now;
		note->verdict = verdict;
		note->reason = reason;
		bpf_tail_call(ctx, &capture_hook, 0);
	}
	return verdict;
}

#endif
