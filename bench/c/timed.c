// SPDX-License-Identifier: MIT
/* The system calls of AF_XDP under their own names, timed as bench/c/xsk.c times them: a library that stands in libc's place in
 * the benchmark's program. What a busy time has besides them is time in user space. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double in_calls;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static long timed(long number, long a, long b, long c, long d, long e, long f)
{
	double began = now();
	long result = syscall(number, a, b, c, d, e, f);

	in_calls += now() - began;
	return result;
}

/* Nanoseconds in the calls below since the process began. */
double ns_in_calls(void)
{
	return in_calls;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	return timed(SYS_sendto, fd, (long)bytes, length, flags, 0, 0);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	return timed(SYS_recvfrom, fd, (long)bytes, length, flags, 0, 0);
}

int poll(struct pollfd *entries, nfds_t count, int ms)
{
	struct timespec limit = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	return timed(SYS_ppoll, (long)entries, count, (long)&limit, 0, 0, 0);
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	return timed(SYS_nanosleep, (long)time, (long)left, 0, 0, 0, 0);
}
