/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Which frames go to AF_XDP sockets: the rules of `xsk`, and of `guard` where policies look at packets. */
#ifndef XDPCTL_REDIRECT_H
#define XDPCTL_REDIRECT_H

#include "parse.h"

/* A frame matches when all that the rule names does. Malformed frames match no rule. */
struct redirect_rule {
	struct in6_addr from; /* IPv4 is mapped (::ffff:a.b.c.d) */
	struct in6_addr from_mask;
	struct in6_addr to;
	struct in6_addr to_mask;
	__be16 sport;     /* 0: any */
	__be16 dport;     /* 0: any */
	__be16 eth_proto; /* 0: any */
	__u8 proto;       /* of IP; 0: any */
	__u8 pad;
};
_Static_assert(sizeof(struct redirect_rule) == 72, "user space writes 72 bytes");

static __always_inline bool in_prefix(const struct in6_addr *address, const struct in6_addr *prefix,
				      const struct in6_addr *mask)
{
	__u32 differ = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differ |= (address->s6_addr32[i] ^ prefix->s6_addr32[i]) & mask->s6_addr32[i];
	return !differ;
}

static __always_inline bool matches(const struct packet *p, const struct redirect_rule *rule)
{
	if (rule->eth_proto && rule->eth_proto != p->eth_proto)
		return false;
	if (rule->proto && rule->proto != p->flow.proto)
		return false;
	if ((rule->sport || rule->dport) && !p->ports)
		return false;
	if (rule->sport && rule->sport != p->flow.sport)
		return false;
	if (rule->dport && rule->dport != p->flow.dport)
		return false;
	return in_prefix(&p->flow.src, &rule->from, &rule->from_mask) &&
	       in_prefix(&p->flow.dst, &rule->to, &rule->to_mask);
}

#endif
