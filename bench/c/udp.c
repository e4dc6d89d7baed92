// SPDX-License-Identifier: MIT
/* udp send ADDRESS PORT RATE: sends small datagrams at RATE a second; each line on standard input answers with how many
 * were sent so far; the line `stop` stops the sending first, and `go` lets it go on.
 * udp count PORT: counts datagrams; each line on standard input answers with the count, once none came for 300 ms. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The line that waits on standard input: 1 with it in `line`, 0 without, -1 at its end. */
static int line_ready(char *line, int size, int timeout)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	int got;

	if (poll(&in, 1, timeout) <= 0)
		return 0;
	got = read(0, line, size - 1);
	if (got <= 0)
		return -1;
	line[got] = 0;
	return 1;
}

static int send_all(int fd, struct sockaddr_in *to, double rate)
{
	static const char payload[18];
	unsigned long sent = 0, base = 0;
	double started = now();
	int stopped = 0, got;
	char line[64];

	for (;;) {
		got = line_ready(line, sizeof(line), stopped ? -1 : 0);
		if (got < 0)
			return 0;
		if (got > 0) {
			if (!strncmp(line, "stop", 4))
				stopped = 1;
			if (!strncmp(line, "go", 2)) {
				stopped = 0;
				base = sent;
				started = now();
			}
			printf("%lu\n", sent);
		}
		/* A rate that this machine can't reach must not keep us from reading what we are told. */
		for (int i = 0; i < 512 && !stopped && sent - base < (now() - started) * rate; i++) {
			if (sendto(fd, payload, sizeof(payload), 0, (void *)to, sizeof(*to)) < 0)
				return perror("sendto"), 1;
			sent++;
		}
		if (!stopped && sent - base >= (now() - started) * rate)
			usleep(200);
	}
}

static int count_all(int fd)
{
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	unsigned long count = 0;
	int asked = 0, ready;
	char buffer[2048];

	for (;;) {
		ready = poll(fds, 2, asked ? 300 : -1);
		if (ready == 0) {
			printf("%lu\n", count);
			asked = 0;
			continue;
		}
		if (fds[1].revents)
			while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0)
				count++;
		if (fds[0].revents) {
			if (read(0, buffer, sizeof(buffer)) <= 0)
				return 0;
			asked = 1;
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 64 << 20;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && !strcmp(argv[1], "send")) {
		inet_pton(AF_INET, argv[2], &at.sin_addr);
		at.sin_port = htons(atoi(argv[3]));
		return send_all(fd, &at, atof(argv[4]));
	}
	if (argc == 3 && !strcmp(argv[1], "count")) {
		at.sin_port = htons(atoi(argv[2]));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
		if (bind(fd, (void *)&at, sizeof(at)))
			return perror("bind"), 1;
		puts("ready");
		return count_all(fd);
	}
	return 2;
}
