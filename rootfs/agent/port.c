// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define PORTS "/sys/class/virtio-ports"

void frame_received(const struct frame_header *header, const char *data);

static int port = -1;
static bool hung_up;

/*
 * What is on its way: never so much that the host's socket is full. QEMU 7.2 then holds the port back, and sometimes
 * for ever. Small writes fill a socket by their number.
 */
#define MOST_ON_WAY (96 * 1024)
#define MOST_WRITES 64
static size_t on_way, writes[MOST_WRITES];
static unsigned first_write, next_write;

static char *out;
static size_t out_start, out_end, out_size;

static char in[sizeof(struct frame_header) + FRAME_MAX];
static size_t in_length;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int find_port(void)
{
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	int found = -1;

	if (!ports)
		return -1;
	while (found < 0 && (entry = readdir(ports))) {
		char path[512], name[64] = "";
		int fd;

		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) < 0)
			name[0] = 0;
		close(fd);
		name[strcspn(name, "\n")] = 0;
		if (strcmp(name, PORT_NAME))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		found = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(ports);
	return found;
}

/* The port is named by a message of the host, which comes some time after its driver is there. */
int port_open(int timeout_ms)
{
	const long deadline = now_ms() + timeout_ms;

	while ((port = find_port()) < 0) {
		if (now_ms() > deadline)
			return -1;
		usleep(1000);
	}
	return port;
}

bool port_connected(void)
{
	return !hung_up;
}

static bool may_write(void)
{
	return out_end > out_start && on_way < MOST_ON_WAY && next_write - first_write < MOST_WRITES;
}

short port_events(void)
{
	return POLLIN | (may_write() ? POLLOUT : 0);
}

void port_taken(size_t bytes)
{
	on_way -= bytes;
	while (bytes && first_write != next_write) {
		size_t *oldest = &writes[first_write % MOST_WRITES];
		const size_t part = bytes < *oldest ? bytes : *oldest;

		bytes -= part;
		*oldest -= part;
		if (!*oldest)
			first_write++;
	}
}

size_t port_backlog(void)
{
	return out_end - out_start;
}

void port_send(uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t length)
{
	const struct frame_header header = { .length = length, .id = id, .type = type, .stream = stream };
	const size_t need = sizeof(header) + length;

	if (out_end + need > out_size) {
		memmove(out, out + out_start, out_end - out_start);
		out_end -= out_start;
		out_start = 0;
	}
	if (out_end + need > out_size) {
		out_size = (out_end + need) * 2;
		out = realloc(out, out_size);
		if (!out)
			abort();
	}
	memcpy(out + out_end, &header, sizeof(header));
	if (length)
		memcpy(out + out_end + sizeof(header), data, length);
	out_end += need;
}

void port_write(void)
{
	while (may_write()) {
		/* The driver copies each write into one buffer: small ones are found sooner. */
		size_t n = out_end - out_start;
		ssize_t written = write(port, out + out_start, n > 32768 ? 32768 : n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		out_start += written;
		on_way += written;
		writes[next_write++ % MOST_WRITES] = written;
	}
	if (out_start == out_end)
		out_start = out_end = 0;
}

bool port_read(void)
{
	for (int turn = 0; turn < 16; turn++) {
		ssize_t n = read(port, in + in_length, sizeof(in) - in_length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			hung_up = true;
			return false;
		}
		if (n < 0)
			return errno == EAGAIN;
		in_length += n;
		for (;;) {
			struct frame_header header;
			size_t whole;

			if (in_length < sizeof(header))
				break;
			memcpy(&header, in, sizeof(header));
			/* The host is ours; if it says nonsense, there is no way to go on. */
			if (header.length > FRAME_MAX)
				return false;
			whole = sizeof(header) + header.length;
			if (in_length < whole)
				break;
			frame_received(&header, in + sizeof(header));
			in_length -= whole;
			memmove(in, in + whole, in_length);
		}
	}
	return true;
}

void port_drain(int timeout_ms)
{
	const long deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd fd = { .fd = port, .events = port_events() };

		port_write();
		if (out_end == out_start || now_ms() > deadline)
			return;
		/* The host may have to say first that it took something. */
		if (poll(&fd, 1, 10) > 0 && fd.revents & POLLIN && !port_read())
			return;
	}
}
