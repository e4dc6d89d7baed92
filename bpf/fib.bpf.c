/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * fib: where the kernel would send a packet to. It is on no interface: user space runs it on a question and reads the answer
 * in its place. Both are a struct bpf_fib_lookup, with the helper's flags behind it, and what the helper returned there after.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct question {
	struct bpf_fib_lookup fib;
	__s32 flags;
};
_Static_assert(sizeof(struct question) == 68, "user space writes 68 bytes");

SEC("xdp")
int fib(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct question *q = (void *)(long)ctx->data;
	struct bpf_fib_lookup params;

	if ((void *)(q + 1) > end)
		return XDP_ABORTED;
	params = q->fib;
	q->flags = bpf_fib_lookup(ctx, &params, sizeof(params), q->flags);
	q->fib = params;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
