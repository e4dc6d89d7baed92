/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The ring of captured frames, and what did not get into it. */
#ifndef XDPCTL_FRAMES_H
#define XDPCTL_FRAMES_H

#include "xdpctl.h"
#include <bpf/bpf_helpers.h>

/* Set before the program is loaded. */
const volatile __u32 only_ifindex = 0;
const volatile __u32 snaplen = 0x40000;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring SEC(".maps");

enum { COUNT_SEEN, COUNT_LOST, COUNTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline void tally(__u32 which)
{
	__u64 *counter = bpf_map_lookup_elem(&counts, &which);

	if (counter)
		++*counter;
}

struct frame {
	__u64 time_ns;
	__u32 queue;
	__u32 verdict;
	__u32 reason;
	__u32 length;
	__u32 captured;
};

/*
 * LOAD(record, length) copies the frame's first bytes behind the record; 0 where it could. Before 6.8 the verifier believes
 * that a length is not 0 only when it was compared in this way, and only right before.
 */
#define RECORD_OF(SIZE, LOAD)                                                                                          \
	do {                                                                                                           \
		struct capture_record *record;                                                                         \
		__u32 rest;                                                                                            \
                                                                                                                       \
		if (f->captured > (SIZE))                                                                              \
			break;                                                                                         \
		record = bpf_ringbuf_reserve(&ring, sizeof(*record) + (SIZE), 0);                                      \
		if (!record)                                                                                           \
			goto lost;                                                                                     \
		record->time_ns = f->time_ns;                                                                          \
		record->ifindex = only_ifindex;                                                                        \
		record->queue = f->queue;                                                                              \
		record->verdict = f->verdict;                                                                          \
		record->reason = f->reason;                                                                            \
		record->length = f->length;                                                                            \
		record->captured = f->captured;                                                                        \
		rest = f->captured - 1;                                                                                \
		barrier_var(rest);                                                                                     \
		if (rest >= (SIZE) || LOAD((void *)(record + 1), rest + 1)) {                                          \
			bpf_ringbuf_discard(record, 0);                                                                \
			goto lost;                                                                                     \
		}                                                                                                      \
		bpf_ringbuf_submit(record, 0);                                                                         \
		return;                                                                                                \
	} while (0)

/* The verifier knows a reservation's size only when it is a constant: a few sizes, at most a third of them for nothing. */
#define RECORD_SIZES(LOAD)                                                                                             \
	RECORD_OF(64, LOAD);                                                                                           \
	RECORD_OF(96, LOAD);                                                                                           \
	RECORD_OF(128, LOAD);                                                                                          \
	RECORD_OF(256, LOAD);                                                                                          \
	RECORD_OF(512, LOAD);                                                                                          \
	RECORD_OF(1024, LOAD);                                                                                         \
	RECORD_OF(1536, LOAD);                                                                                         \
	RECORD_OF(2048, LOAD);                                                                                         \
	RECORD_OF(4096, LOAD);                                                                                         \
	RECORD_OF(9216, LOAD);                                                                                         \
	RECORD_OF(32768, LOAD);                                                                                        \
	RECORD_OF(131072, LOAD)

#endif
