/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef XDPCTL_LENGTH_H
#define XDPCTL_LENGTH_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Bytes of the whole frame. Kernels without the helper (before 5.18) have no frames in several buffers. */
static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_get_buff_len))
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

#endif
