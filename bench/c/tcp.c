// SPDX-License-Identifier: MIT
/* tcp sink PORT, tcp echo PORT: takes one connection after the other, and swallows what comes, or sends it back; prints `up`.
 * tcp stream ADDRESS PORT: each line on standard input (milliseconds) answers with the bits a second that went out meanwhile.
 * tcp rr ADDRESS PORT: the same with transactions, of one byte there and one back.
 * tcp syn ADDRESS PORT RATE: sends SYNs from changing ports at RATE a second; a line answers with how many were sent. */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[128 << 10];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int serve(struct sockaddr_in *at, int echo)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)at, sizeof(*at)) || listen(fd, 1))
		return 1;
	puts("up");
	for (;;) {
		int from = accept(fd, NULL, NULL);
		ssize_t got;

		no_delay(from);
		while ((got = read(from, block, sizeof(block))) > 0)
			if (echo && write(from, block, got) != got)
				break;
		close(from);
	}
}

static double waiting(int fd)
{
	int bytes = 0;

	ioctl(fd, SIOCOUTQ, &bytes);
	return bytes;
}

static int measure(struct sockaddr_in *to, int rr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), ms;

	no_delay(fd);
	if (connect(fd, (struct sockaddr *)to, sizeof(*to)))
		return 1;
	puts("up");
	while (scanf("%d", &ms) == 1) {
		double started = now(), end = started + ms / 1e3, done = rr ? 0 : -waiting(fd);

		while (now() < end) {
			ssize_t wrote = write(fd, block, rr ? 1 : sizeof(block));

			if (wrote < 0 || (rr && read(fd, block, 1) != 1))
				return 1;
			done += wrote;
		}
		if (!rr)
			done = (done - waiting(fd)) * 8;
		printf("%.0f\n", done / (now() - started));
	}
	return 0;
}

static unsigned short sum(const void *bytes, int length, unsigned long start)
{
	const unsigned short *words = bytes;

	for (; length > 1; length -= 2)
		start += *words++;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return ~start;
}

static int flood(struct sockaddr_in *to, double rate)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} packet = {
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons(40) },
		.tcp = { .doff = 5, .syn = 1, .window = htons(1024), .dest = to->sin_port },
	};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	unsigned long sent = 0, pseudo;
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	struct pollfd in = { .fd = 0, .events = POLLIN };
	double started = now();
	char line[64];

	if (fd < 0 || connect(fd, (struct sockaddr *)to, sizeof(*to)) || getsockname(fd, (struct sockaddr *)&own, &size))
		return 1;
	packet.ip.saddr = own.sin_addr.s_addr;
	packet.ip.daddr = to->sin_addr.s_addr;
	pseudo = (packet.ip.saddr & 0xffff) + (packet.ip.saddr >> 16) + (packet.ip.daddr & 0xffff) +
		 (packet.ip.daddr >> 16) + htons(IPPROTO_TCP) + htons(sizeof(packet.tcp));
	for (;;) {
		double due = (now() - started) * rate - sent;

		if (due > rate / 100) {
			/* Not to be made up for: the machine did not have the time. */
			started = now() - sent / rate;
			due = 64;
		}
		for (; due >= 1; due--, sent++) {
			packet.tcp.source = htons(1024 + sent % 60000);
			packet.tcp.seq = htonl(sent);
			packet.tcp.check = 0;
			packet.tcp.check = sum(&packet.tcp, sizeof(packet.tcp), pseudo);
			send(fd, &packet, sizeof(packet), 0);
		}
		if (poll(&in, 1, 0) <= 0)
			continue;
		if (read(0, line, sizeof(line)) <= 0)
			return 0;
		printf("%lu\n", sent);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3) {
		address.sin_port = htons(atoi(argv[2]));
		return serve(&address, !strcmp(argv[1], "echo"));
	}
	if (argc < 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		return 2;
	address.sin_port = htons(atoi(argv[3]));
	if (argc == 5 && !strcmp(argv[1], "syn"))
		return flood(&address, atof(argv[4]));
	return measure(&address, !strcmp(argv[1], "rr"));
}
