// SPDX-License-Identifier: MIT
/*
 * A DHCP client (RFC 2131) for guests: one lease for one interface, no renewal, because guests live shorter than leases.
 * Prints ADDRESS/PREFIX, ROUTER and DNS servers, one a line, after it has set them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum { O_MASK = 1, O_ROUTER = 3, O_DNS = 6, O_HOST = 12, O_ADDRESS = 50, O_TYPE = 53, O_SERVER = 54, O_PARAMETERS = 55 };

struct message {
	uint8_t op, htype, hlen, hops;
	uint32_t xid;
	uint16_t secs, flags;
	uint32_t ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[16], sname[64], file[128];
	uint32_t magic;
	uint8_t options[312];
} __attribute__((packed));

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	struct message message;
} __attribute__((packed));

struct lease {
	uint32_t address, mask, router, server, dns[3];
	int type, ndns;
};

static uint16_t checksum(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void put(uint8_t **at, int option, const void *data, int length)
{
	*(*at)++ = option;
	*(*at)++ = length;
	memcpy(*at, data, length);
	*at += length;
}

static int send_message(int fd, const struct sockaddr_ll *to, const uint8_t *mac, uint32_t xid, int type,
			const struct lease *offer, const char *host)
{
	const uint8_t parameters[] = { O_MASK, O_ROUTER, O_DNS };
	struct packet packet = {
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .daddr = INADDR_BROADCAST,
			.tot_len = htons(sizeof(packet)) },
		.udp = { .source = htons(68), .dest = htons(67), .len = htons(sizeof(packet) - sizeof(packet.ip)) },
		.message = { .op = 1, .htype = ARPHRD_ETHER, .hlen = 6, .xid = xid, .flags = htons(0x8000),
			     .magic = htonl(0x63825363) },
	};
	const uint8_t message_type = type;
	uint8_t *at = packet.message.options;

	memcpy(packet.message.chaddr, mac, 6);
	put(&at, O_TYPE, &message_type, 1);
	if (offer) {
		put(&at, O_ADDRESS, &offer->address, 4);
		put(&at, O_SERVER, &offer->server, 4);
	}
	if (host && strlen(host) < 64)
		put(&at, O_HOST, host, strlen(host));
	put(&at, O_PARAMETERS, parameters, sizeof(parameters));
	*at = 255;
	packet.ip.check = checksum(&packet.ip, sizeof(packet.ip));
	return sendto(fd, &packet, sizeof(packet), 0, (const struct sockaddr *)to, sizeof(*to)) < 0 ? -1 : 0;
}

/* Whether these bytes are an answer to `xid`; then what it says. */
static bool parse(const uint8_t *data, ssize_t length, uint32_t xid, struct lease *lease)
{
	const struct packet *packet = (const void *)data;
	const uint8_t *at, *end = data + length;

	if (length < (ssize_t)(sizeof(*packet) - sizeof(packet->message.options)) || packet->ip.ihl != 5 ||
	    packet->ip.protocol != IPPROTO_UDP || packet->udp.dest != htons(68) || packet->message.op != 2 ||
	    packet->message.xid != xid || packet->message.magic != htonl(0x63825363))
		return false;
	memset(lease, 0, sizeof(*lease));
	lease->address = packet->message.yiaddr;
	for (at = packet->message.options; at < end && *at != 255;) {
		const int option = *at++;
		int size;

		if (option == 0)
			continue;
		if (at >= end)
			return false;
		size = *at++;
		if (at + size > end)
			return false;
		if (option == O_TYPE && size == 1)
			lease->type = *at;
		if (option == O_MASK && size == 4)
			memcpy(&lease->mask, at, 4);
		if (option == O_ROUTER && size >= 4)
			memcpy(&lease->router, at, 4);
		if (option == O_SERVER && size == 4)
			memcpy(&lease->server, at, 4);
		for (int i = 0; option == O_DNS && i + 4 <= size && lease->ndns < 3; i += 4)
			memcpy(&lease->dns[lease->ndns++], at + i, 4);
		at += size;
	}
	return lease->type != 0;
}

/* The first answer of one of two types; a server that was asked twice answers twice. */
static bool await(int fd, uint32_t xid, int timeout_ms, int type, int other, struct lease *lease)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		uint8_t data[2048];
		ssize_t n;
		int left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = timeout_ms - (now.tv_sec - start.tv_sec) * 1000 - (now.tv_nsec - start.tv_nsec) / 1000000;
		if (left <= 0 || poll(&ready, 1, left) <= 0)
			return false;
		n = recv(fd, data, sizeof(data), 0);
		if (n > 0 && parse(data, n, xid, lease) && (lease->type == type || lease->type == other))
			return true;
	}
}

static int set_address(int fd, const char *name, unsigned long request, uint32_t address)
{
	struct ifreq interface = {};
	struct sockaddr_in *in = (struct sockaddr_in *)&interface.ifr_addr;

	strncpy(interface.ifr_name, name, IFNAMSIZ - 1);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = address;
	return ioctl(fd, request, &interface);
}

static int configure(const char *name, const struct lease *lease)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rtentry route = {};
	char text[INET_ADDRSTRLEN];

	if (fd < 0 || set_address(fd, name, SIOCSIFADDR, lease->address) ||
	    set_address(fd, name, SIOCSIFNETMASK, lease->mask))
		return -1;
	printf("%s/%d\n", inet_ntop(AF_INET, &lease->address, text, sizeof(text)), __builtin_popcount(lease->mask));
	if (lease->router) {
		((struct sockaddr_in *)&route.rt_dst)->sin_family = AF_INET;
		((struct sockaddr_in *)&route.rt_genmask)->sin_family = AF_INET;
		((struct sockaddr_in *)&route.rt_gateway)->sin_family = AF_INET;
		((struct sockaddr_in *)&route.rt_gateway)->sin_addr.s_addr = lease->router;
		route.rt_dev = (char *)name;
		route.rt_flags = RTF_UP | RTF_GATEWAY;
		/* A second interface's router is not the default when there is one. */
		if (ioctl(fd, SIOCADDRT, &route) && errno != EEXIST)
			return -1;
		printf("router %s\n", inet_ntop(AF_INET, &lease->router, text, sizeof(text)));
	}
	for (int i = 0; i < lease->ndns; i++)
		printf("nameserver %s\n", inet_ntop(AF_INET, &lease->dns[i], text, sizeof(text)));
	close(fd);
	return 0;
}

int dhcp_main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_halen = 6,
				  .sll_addr = { 255, 255, 255, 255, 255, 255 } };
	struct ifreq interface = {};
	struct lease offer, lease;
	const char *host;
	uint32_t xid;
	int fd;

	if (argc < 2) {
		fprintf(stderr, "usage: xdpctl-agent dhcp INTERFACE SECONDS [HOST NAME]\n");
		return 2;
	}
	host = argc > 2 ? argv[2] : NULL;
	strncpy(interface.ifr_name, argv[0], IFNAMSIZ - 1);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &interface)) {
		fprintf(stderr, "xdpctl-agent: dhcp on %s: %m\n", argv[0]);
		return 1;
	}
	to.sll_ifindex = if_nametoindex(argv[0]);
	if (getrandom(&xid, sizeof(xid), 0) != sizeof(xid))
		xid = to.sll_ifindex;
	for (int wait_ms = 500, left_ms = atoi(argv[1]) * 1000; left_ms > 0; left_ms -= wait_ms) {
		const uint8_t *mac = (const uint8_t *)interface.ifr_hwaddr.sa_data;

		if (send_message(fd, &to, mac, xid, DISCOVER, NULL, host) || !await(fd, xid, wait_ms, OFFER, OFFER, &offer))
			continue;
		if (send_message(fd, &to, mac, xid, REQUEST, &offer, host) || !await(fd, xid, 2000, ACK, NAK, &lease) ||
		    lease.type != ACK)
			continue;
		if (configure(argv[0], &lease)) {
			fprintf(stderr, "xdpctl-agent: setting the lease of %s: %m\n", argv[0]);
			return 1;
		}
		return 0;
	}
	fprintf(stderr, "xdpctl-agent: no DHCP server answered on %s within %s s\n", argv[0], argv[1]);
	return 1;
}
