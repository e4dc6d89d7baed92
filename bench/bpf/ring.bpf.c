/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* One 64-byte record a run: BPF_PROG_TEST_RUN fills the ring as fast as it can. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

__u64 sequence;

SEC("xdp")
int fill(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 64, 0);
	int i;

	if (!record)
		return XDP_ABORTED;
	record[0] = sequence++;
#pragma unroll
	for (i = 1; i < 8; i++)
		record[i] = i;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
