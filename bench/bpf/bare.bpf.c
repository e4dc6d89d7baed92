// SPDX-License-Identifier: MIT
/* The least that a native program can do: what others are compared with. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int bare(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "MIT";
