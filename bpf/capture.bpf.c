/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Captures frames: `capture` counts the frame and goes on to the filter, if there is one, or to `capture_record`, which copies it
 * into the ring and goes on to the program whose place was taken, if one was. Else the answer is the verdict that was
 * noted (capture.h). The filter is made at load time from an expression; it is a program of its own between the two.
 *
 * Twice, because programs that call each other must agree on whether they take frames in several buffers.
 */
#include "frames.h"
#include "length.h"

enum { STEP_FILTER, STEP_RECORD, STEP_NEXT, STEPS };

const volatile __u32 first_step = STEP_RECORD;
/* 0: the verdict of the program that comes after is not known here. */
const volatile __u32 verdict_known = 1;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STEPS);
	__type(key, __u32);
	__type(value, __u32);
} steps SEC(".maps");

/* That of the program which calls, when it is one of ours. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture_note);
} capture_note SEC(".maps");

static __always_inline int leave(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct capture_note *note;

	bpf_tail_call(ctx, &steps, STEP_NEXT);
	/* The program whose place was taken is gone with all that knew of it: better its frames pass than none does. */
	if (!verdict_known)
		return XDP_PASS;
	note = bpf_map_lookup_elem(&capture_note, &zero);
	return note ? note->verdict : XDP_ABORTED;
}

static __always_inline int begin(struct xdp_md *ctx)
{
	if (ctx->ingress_ifindex == only_ifindex) {
		tally(COUNT_SEEN);
		bpf_tail_call(ctx, &steps, first_step);
	}
	return leave(ctx);
}

static __always_inline void copy(struct xdp_md *ctx, const struct frame *f)
{
#define LOAD_BYTES(INTO, LENGTH) bpf_xdp_load_bytes(ctx, 0, INTO, LENGTH)
	RECORD_SIZES(LOAD_BYTES);
lost:
	tally(COUNT_LOST);
}

static __always_inline int keep(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct capture_note *note = bpf_map_lookup_elem(&capture_note, &zero);
	struct frame f = { .queue = ctx->rx_queue_index, .verdict = VERDICT_UNKNOWN };

	f.length = frame_length(ctx);
	f.captured = f.length < snaplen ? f.length : snaplen;
	if (verdict_known && note) {
		f.time_ns = note->time_ns;
		f.verdict = note->verdict;
		f.reason = note->reason;
	} else {
		f.time_ns = bpf_ktime_get_ns();
	}
	copy(ctx, &f);
	return leave(ctx);
}

SEC("xdp.frags")
int capture(struct xdp_md *ctx)
{
	return begin(ctx);
}

SEC("xdp.frags")
int capture_record(struct xdp_md *ctx)
{
	return keep(ctx);
}

SEC("xdp")
int capture_linear(struct xdp_md *ctx)
{
	return begin(ctx);
}

SEC("xdp")
int capture_record_linear(struct xdp_md *ctx)
{
	return keep(ctx);
}

char _license[] SEC("license") = "Dual MIT/GPL";
