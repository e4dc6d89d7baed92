/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Captures the frames of an XDP program that is not ours, at its end and with its verdict: fexit, where the kernel lets
 * us. Of a frame in several buffers the first is copied.
 */
#include "frames.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* What we need of the kernel's own; their real places are found at load time. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct xdp_rxq_info {
	struct net_device *dev;
	__u32 queue_index;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_rxq_info *rxq;
} __attribute__((preserve_access_index));

static __always_inline void copy(const void *data, const struct frame *f)
{
#define READ_KERNEL(INTO, LENGTH) bpf_probe_read_kernel(INTO, LENGTH, data)
	RECORD_SIZES(READ_KERNEL);
lost:
	tally(COUNT_LOST);
}

SEC("fexit")
int BPF_PROG(capture_exit, struct xdp_buff *xdp, int verdict)
{
	struct frame f = { .verdict = verdict };
	__u32 linear = (long)xdp->data_end - (long)xdp->data;

	if (xdp->rxq->dev->ifindex != (int)only_ifindex)
		return 0;
	tally(COUNT_SEEN);
	f.time_ns = bpf_ktime_get_ns();
	f.queue = xdp->rxq->queue_index;
	f.length = bpf_xdp_get_buff_len((void *)xdp);
	f.captured = linear < snaplen ? linear : snaplen;
	copy(xdp->data, &f);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
