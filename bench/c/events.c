// SPDX-License-Identifier: MIT
/* events PROGRAM-ID IFINDEX DENY-MAP-ID: makes a loaded guard write events, by test runs. Commands on standard input:
 *
 *   flood COUNT RATE   deny events at RATE a second (0: as fast as it goes), from 1,000 sources of 198.18.0.0/15, which
 *                      a rule must deny; answers with the seconds that it took
 *   latency COUNT GAP  COUNT times, GAP microseconds apart: the first packet of a flow, then looks until its source is in
 *                      the deny map; answers with the median and the 99th percentile in microseconds, and how many never
 *                      came
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOURCES 1000
#define MAX_SAMPLES 100000
#define GIVE_UP_US 100000.0

static unsigned char frame[64] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,				/* Ethernet, IPv4 */
	0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 10, 77, 1, 2, /* UDP to 10.77.1.2 */
	4, 0, 0, 53, 0, 30, 0, 0,
};
static struct xdp_md context;
static int program;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void from(__u32 address)
{
	__be32 source = htonl(address);
	__u32 sum = 0;

	memcpy(frame + 26, &source, 4);
	frame[24] = frame[25] = 0;
	for (int i = 14; i < 34; i += 2)
		sum += frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = sum >> 8;
	frame[25] = sum;
}

static void run(int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = repeat,
		    .ctx_in = &context, .ctx_size_in = sizeof(context));

	if (bpf_prog_test_run_opts(program, &opts)) {
		perror("test run");
		exit(1);
	}
}

static void flood(long count, double rate)
{
	double started = now_us();
	int burst = 10;
	long made = 0;

	for (__u32 source = 0; made < count; source = (source + 1) % SOURCES) {
		if (rate > 0)
			while (made >= (now_us() - started) * rate / 1e6)
				usleep(100);
		from(0xc6120001 + source);
		run(burst);
		made += burst;
	}
	printf("%f\n", (now_us() - started) / 1e6);
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static void latency(int count, int gap, int deny)
{
	static double samples[MAX_SAMPLES];
	static __u32 next = 0x0a800001; /* 10.128.0.1 */
	char value[256];
	struct sched_param none = {};
	int missed = 0, n = 0;

	/* Whoever answers takes the CPU at once: a process that looks all the time would else be what is measured. */
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (int i = 0; i < count && i < MAX_SAMPLES; i++) {
		struct { __u32 prefix_len; __be32 address; } key = { 32, htonl(++next) };
		double started, elapsed;
		int found;

		usleep(gap);
		from(next);
		started = now_us();
		run(1);
		do {
			found = !bpf_map_lookup_elem(deny, &key, value);
			elapsed = now_us() - started;
		} while (!found && elapsed < GIVE_UP_US);
		if (found)
			samples[n++] = elapsed;
		else
			missed++;
		bpf_map_delete_elem(deny, &key);
	}
	sched_setscheduler(0, SCHED_OTHER, &none);
	qsort(samples, n, sizeof(*samples), ascending);
	printf("%f %f %d\n", n ? samples[n / 2] : 0, n ? samples[n * 99 / 100] : 0, missed);
}

int main(int argc, char **argv)
{
	char word[16];
	double b;
	long a;
	int deny;

	if (argc != 4)
		return 2;
	program = bpf_prog_get_fd_by_id(atoi(argv[1]));
	deny = bpf_map_get_fd_by_id(atoi(argv[3]));
	if (program < 0 || deny < 0)
		return perror("opening by id"), 1;
	context.data_end = sizeof(frame);
	context.ingress_ifindex = atoi(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%15s %ld %lf", word, &a, &b) == 3) {
		if (!strcmp(word, "flood"))
			flood(a, b);
		else if (!strcmp(word, "latency"))
			latency(a, b, deny);
		else
			return 2;
	}
	return 0;
}
