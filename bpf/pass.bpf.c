/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Passes every frame, and counts it. */
#include "capture.h"
#include "stats.h"

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	count(ctx->ingress_ifindex, XDP_PASS, REASON_DEFAULT, PROTO_NONE_IP, frame_length(ctx));
	return report(ctx, XDP_PASS, REASON_DEFAULT);
}

char _license[] SEC("license") = "Dual MIT/GPL";
