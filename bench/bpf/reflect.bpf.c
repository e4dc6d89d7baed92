// SPDX-License-Identifier: MIT
/* Sends frames of a live test run out of the interface that they are said to come from. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int reflect(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

char _license[] SEC("license") = "Dual MIT/GPL";
