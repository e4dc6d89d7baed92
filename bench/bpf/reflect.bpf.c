// SPDX-License-Identifier: MIT
/* Sends frames of a live test run out of the interface that they are said to come from: all, or one each `interval` ns. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* What is late by more than this is not made up for. */
#define LATEST 50000000ULL

const volatile __u64 interval;
static __u64 due;

SEC("xdp")
int reflect(struct xdp_md *ctx)
{
	__u64 now;

	(void)ctx;
	if (!interval)
		return XDP_TX;
	now = bpf_ktime_get_ns();
	if (now < due)
		return XDP_DROP;
	if (now > due + LATEST)
		due = now;
	due += interval;
	return XDP_TX;
}

char _license[] SEC("license") = "Dual MIT/GPL";
