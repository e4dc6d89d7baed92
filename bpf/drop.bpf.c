/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Drops every frame, and counts it. */
#include "capture.h"
#include "stats.h"

SEC("xdp.frags")
int drop(struct xdp_md *ctx)
{
	count(ctx->ingress_ifindex, XDP_DROP, REASON_DEFAULT, PROTO_NONE_IP, frame_length(ctx));
	return report(ctx, XDP_DROP, REASON_DEFAULT);
}

char _license[] SEC("license") = "Dual MIT/GPL";
