/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The rules: by source address, by destination port, by both. The longest prefix that has not expired decides. Rules with
 * a protocol come before those for TCP and UDP (protocol 0).
 */
#ifndef XDPCTL_RULES_H
#define XDPCTL_RULES_H

#include "parse.h"

#define MAX_PREFIXES 16384
#define MAX_PORTS 4096
/* How many expired rules, one inside the other, are looked past: user space deletes them sooner or later. */
#define MAX_EXPIRED 8

#define PREFIX_MAP(name, key_type, value_type)                                                                         \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                                   \
		__uint(max_entries, MAX_PREFIXES);                                                                     \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__type(key, key_type);                                                                                 \
		__type(value, value_type);                                                                             \
	} name SEC(".maps")

#define PORT_MAP(name)                                                                                                 \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(max_entries, MAX_PORTS);                                                                        \
		__type(key, struct port_key);                                                                          \
		__type(value, struct rule);                                                                            \
	} name SEC(".maps")

PREFIX_MAP(allow_pair_v4, struct pair_v4_key, struct rule);
PREFIX_MAP(allow_pair_v6, struct pair_v6_key, struct rule);
PREFIX_MAP(allow_v4, struct lpm_v4_key, struct rule);
PREFIX_MAP(allow_v6, struct lpm_v6_key, struct rule);
PORT_MAP(allow_port);
PREFIX_MAP(deny_pair_v4, struct pair_v4_key, struct rule);
PREFIX_MAP(deny_pair_v6, struct pair_v6_key, struct rule);
PREFIX_MAP(deny_v4, struct lpm_v4_key, struct rule);
PREFIX_MAP(deny_v6, struct lpm_v6_key, struct rule);
PORT_MAP(deny_port);
PREFIX_MAP(limit_v4, struct lpm_v4_key, struct limit_rule);
PREFIX_MAP(limit_v6, struct lpm_v6_key, struct limit_rule);

static __always_inline bool expired(__u64 expires_ns, __u64 now)
{
	return expires_ns && expires_ns <= now;
}

static __always_inline struct rule *match(struct rule *rule, __u64 now)
{
	if (!rule || expired(rule->expires_ns, now))
		return NULL;
	__sync_fetch_and_add(&rule->hits, 1);
	return rule;
}

/*
 * The living entry of the longest prefix. A trie gives the longest alone; where that one has expired, the next is looked
 * for with a key that is one bit shorter than it. `before` are the bits of the key before the address. All values begin as
 * struct rule does.
 */
static __always_inline struct rule *longest(void *map, void *key, __u32 *prefix_len, __u32 before, __u64 now)
{
	int i;

	for (i = 0; i < MAX_EXPIRED; i++) {
		struct rule *rule = bpf_map_lookup_elem(map, key);

		if (!rule || !expired(rule->expires_ns, now))
			return rule;
		/* A rule written by hand may not say how long its prefix is. */
		if (!rule->prefix_len || before + rule->prefix_len > *prefix_len)
			return NULL;
		*prefix_len = before + rule->prefix_len - 1;
	}
	return NULL;
}

static __always_inline struct rule *lookup_prefix(void *v4, void *v6, const struct packet *p, __u64 now)
{
	if (p->family == 4) {
		struct lpm_v4_key key = { .prefix_len = 32, .addr = p->flow.src.s6_addr32[3] };

		return longest(v4, &key, &key.prefix_len, 0, now);
	} else {
		struct lpm_v6_key key = { .prefix_len = 128, .addr = p->flow.src };

		return longest(v6, &key, &key.prefix_len, 0, now);
	}
}

static __always_inline struct rule *lookup_pair(void *v4, void *v6, const struct packet *p, __u8 proto, __u64 now)
{
	if (p->family == 4) {
		struct pair_v4_key key = {
			.prefix_len = 32 + 32,
			.proto = proto,
			.port = p->flow.dport,
			.addr = p->flow.src.s6_addr32[3],
		};

		return longest(v4, &key, &key.prefix_len, 32, now);
	} else {
		struct pair_v6_key key = {
			.prefix_len = 32 + 128,
			.proto = proto,
			.port = p->flow.dport,
			.addr = p->flow.src,
		};

		return longest(v6, &key, &key.prefix_len, 32, now);
	}
}

static __always_inline struct rule *match_pair(void *v4, void *v6, const struct packet *p, __u64 now)
{
	struct rule *rule = match(lookup_pair(v4, v6, p, p->flow.proto, now), now);

	return rule ? rule : match(lookup_pair(v4, v6, p, 0, now), now);
}

static __always_inline struct rule *match_port(void *map, const struct packet *p, __u64 now)
{
	struct port_key key = { .port = p->flow.dport, .proto = p->flow.proto };
	struct rule *rule = match(bpf_map_lookup_elem(map, &key), now);

	if (rule)
		return rule;
	key.proto = 0;
	return match(bpf_map_lookup_elem(map, &key), now);
}

#endif
