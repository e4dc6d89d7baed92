/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Ethernet, up to two VLAN tags, IPv4 or IPv6 with its extension headers, TCP, UDP, ICMP.
 *
 * A frame is malformed when
 *  - a header that it announces is cut short: Ethernet 14 bytes, tag 4, IPv4 20, IPv6 40, extension 8, TCP 20, UDP 8,
 *    ICMP 8; "cut" by the end of the frame, and from the transport header on by the end of the IP packet;
 *  - it has a third VLAN tag;
 *  - IPv4: the version is not 4, the header is under 20 bytes, the total length is less than the header, or more than
 *    the frame has left (less is padding);
 *  - IPv6: the version is not 6, the payload length is more than the frame has left, an extension header passes the
 *    packet's end, there are more than 8 of them, or two are fragment headers; jumbograms fall under the second;
 *  - a fragment is empty, would end past byte 65,535 of its datagram (IPv4: with its header), or announces more and
 *    is no multiple of 8 bytes long; a first fragment without the whole transport header falls under "cut short";
 *  - TCP: the header is under 20 bytes or passes the packet's end; UDP: the length is under 8, or, in a whole packet,
 *    more than the packet has left.
 * Checksums are not looked at. All headers must lie in the frame's first buffer (3.5 KiB on veth); a frame that
 * hides them further back counts as cut short. test/fixtures/guard-model.ts says the same in TypeScript.
 */
#ifndef XDPCTL_PARSE_H
#define XDPCTL_PARSE_H

#include "xdpctl.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 8
#define MAX_DATAGRAM 65535
/* Where the last header may begin: two tags, IPv6, and eight extension headers of at most 2,048 bytes. */
#define MAX_HEADER_OFFSET 0x7fff

#define IPV4_MORE 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MORE 1
#define IPV6_OFFSET 0xfff8
#define ICMP_HEADER 8

#define EXT_HOP_BY_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_AUTH 51
#define EXT_DESTINATION 60
#define EXT_MOBILITY 135
#define EXT_HIP 139
#define EXT_SHIM6 140

enum fragment {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1,
	FRAGMENT_LATER = 2,
};

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

struct extension {
	__u8 next;
	__u8 length;
	__be16 offset; /* of a fragment header */
	__be32 id;
};

/* What the parser found; a malformed frame leaves what was found until then. */
struct packet {
	struct flow_key flow; /* addresses mapped; flow.proto is PROTO_NONE_IP without an IP header */
	__u32 length;         /* of the frame */
	__be16 eth_proto;
	__u16 vlan;
	__u8 family; /* 4, 6, or 0 */
	__u8 fragment;
	__u8 tcp_flags;
	bool ports; /* flow.sport and flow.dport are those of TCP or UDP */
};

struct chain {
	__u32 offset; /* of the header of type `next` in the frame */
	__u32 end;    /* of the IP packet */
	__u8 next;
	__u8 fragment;
	__u8 pad[2];
};

static __always_inline bool is_extension(__u8 next)
{
	switch (next) {
	case EXT_HOP_BY_HOP:
	case EXT_ROUTING:
	case EXT_FRAGMENT:
	case EXT_AUTH:
	case EXT_DESTINATION:
	case EXT_MOBILITY:
	case EXT_HIP:
	case EXT_SHIM6:
		return true;
	default:
		return false;
	}
}

/*
 * Walks to the first header that is no extension, or to a later fragment's header. 0, or -1 when it is malformed.
 * A global function: the verifier looks at its loop once, and not once per path that leads here.
 */
__attribute__((noinline)) int walk_extensions(struct xdp_md *ctx, struct chain *chain)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	bool fragmented = false;

	if (!chain)
		return -1;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u32 offset = chain->offset;
		__u32 length;
		struct extension *header;

		if (!is_extension(chain->next))
			return 0;
		if (offset > MAX_HEADER_OFFSET || offset + sizeof(*header) > chain->end)
			return -1;
		header = data + offset;
		if ((void *)(header + 1) > data_end)
			return -1;
		if (chain->next == EXT_FRAGMENT) {
			__u32 where = bpf_ntohs(header->offset);
			__u32 start = where & IPV6_OFFSET;
			__u32 payload;

			if (fragmented)
				return -1;
			fragmented = true;
			offset += sizeof(*header);
			payload = chain->end - offset;
			/* Neither offset nor more: an atomic fragment (RFC 6946), which is a whole packet. */
			if (start || where & IPV6_MORE) {
				if (!payload || start + payload > MAX_DATAGRAM)
					return -1;
				if (where & IPV6_MORE && payload % 8)
					return -1;
				chain->fragment = start ? FRAGMENT_LATER : FRAGMENT_FIRST;
			}
			chain->next = header->next;
			chain->offset = offset;
			if (start)
				return 0;
			continue;
		}
		length = chain->next == EXT_AUTH ? (header->length + 2) * 4 : (header->length + 1) * 8;
		if (offset + length > chain->end)
			return -1;
		chain->next = header->next;
		chain->offset = offset + length;
	}
	return is_extension(chain->next) ? -1 : 0;
}

/* The header after IP, which begins at `offset`; the IP packet ends at `end`. */
static __always_inline bool parse_transport(void *data, void *data_end, __u32 offset, __u32 end, struct packet *p)
{
	void *header = data + offset;

	if (p->flow.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = header;
		__u8 *bytes = header;

		if (offset + sizeof(*tcp) > end || (void *)(tcp + 1) > data_end)
			return false;
		if (tcp->doff < 5 || offset + tcp->doff * 4 > end)
			return false;
		p->flow.sport = tcp->source;
		p->flow.dport = tcp->dest;
		p->tcp_flags = bytes[13];
		p->ports = true;
	} else if (p->flow.proto == IPPROTO_UDP) {
		struct udphdr *udp = header;
		__u32 length;

		if (offset + sizeof(*udp) > end || (void *)(udp + 1) > data_end)
			return false;
		length = bpf_ntohs(udp->len);
		if (length < sizeof(*udp) || (p->fragment == FRAGMENT_NONE && length > end - offset))
			return false;
		p->flow.sport = udp->source;
		p->flow.dport = udp->dest;
		p->ports = true;
	} else if ((p->family == 4 && p->flow.proto == IPPROTO_ICMP) ||
		   (p->family == 6 && p->flow.proto == IPPROTO_ICMPV6)) {
		if (offset + ICMP_HEADER > end || header + ICMP_HEADER > data_end)
			return false;
		p->flow.dport = *(__be16 *)header; /* type and code, where NetFlow has them */
	}
	return true;
}

static __always_inline bool parse_ipv4(void *data, void *data_end, __u32 offset, struct packet *p)
{
	struct iphdr *ip = data + offset;
	__u32 header, total, payload, start;
	__u16 where;

	if ((void *)(ip + 1) > data_end || ip->version != 4)
		return false;
	p->family = 4;
	p->flow.src.s6_addr32[2] = bpf_htonl(0xffff);
	p->flow.src.s6_addr32[3] = ip->saddr;
	p->flow.dst.s6_addr32[2] = bpf_htonl(0xffff);
	p->flow.dst.s6_addr32[3] = ip->daddr;
	p->flow.proto = ip->protocol;

	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (header < sizeof(*ip) || total < header || offset + total > p->length)
		return false;
	where = bpf_ntohs(ip->frag_off);
	start = (where & IPV4_OFFSET) * 8;
	payload = total - header;
	if (start || where & IPV4_MORE) {
		if (!payload || header + start + payload > MAX_DATAGRAM)
			return false;
		if (where & IPV4_MORE && payload % 8)
			return false;
		p->fragment = start ? FRAGMENT_LATER : FRAGMENT_FIRST;
		if (start)
			return true;
	}
	return parse_transport(data, data_end, offset + header, offset + total, p);
}

static __always_inline bool parse_ipv6(struct xdp_md *ctx, void *data, void *data_end, __u32 offset, struct packet *p)
{
	struct ipv6hdr *ip = data + offset;
	struct chain chain = {};

	if ((void *)(ip + 1) > data_end || ip->version != 6)
		return false;
	p->family = 6;
	p->flow.src = ip->saddr;
	p->flow.dst = ip->daddr;
	p->flow.proto = ip->nexthdr;

	/* A jumbogram has payload_len 0, and so ends in its hop-by-hop header: malformed here. */
	chain.offset = offset + sizeof(*ip);
	chain.end = chain.offset + bpf_ntohs(ip->payload_len);
	if (chain.end > p->length)
		return false;
	chain.next = ip->nexthdr;
	if (is_extension(chain.next)) {
		int error = walk_extensions(ctx, &chain);

		p->flow.proto = chain.next;
		p->fragment = chain.fragment;
		if (error)
			return false;
		if (p->fragment == FRAGMENT_LATER)
			return true;
	}
	if (chain.offset > MAX_HEADER_OFFSET)
		return false;
	return parse_transport(data, data_end, chain.offset, chain.end, p);
}

/* False when the frame is malformed. */
static __always_inline bool parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 offset = sizeof(*eth);

	p->flow.proto = PROTO_NONE_IP;
	if ((void *)(eth + 1) > data_end)
		return false;
	p->eth_proto = eth->h_proto;
#pragma unroll
	for (int i = 0; i <= MAX_VLAN_TAGS; i++) {
		struct vlan_tag *tag = data + offset;

		if (p->eth_proto != bpf_htons(ETH_P_8021Q) && p->eth_proto != bpf_htons(ETH_P_8021AD))
			break;
		if (i == MAX_VLAN_TAGS || (void *)(tag + 1) > data_end)
			return false;
		if (i == 0)
			p->vlan = bpf_ntohs(tag->tci) & 0xfff;
		p->eth_proto = tag->proto;
		offset += sizeof(*tag);
	}
	if (p->eth_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(data, data_end, offset, p);
	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, data, data_end, offset, p);
	return true;
}

#endif
