// SPDX-License-Identifier: MIT
/* Fills the ring by test runs and drains it with ring_buffer__consume. One line on standard input: how many drains; one
 * line back: the median of the drains in ns per record, and the sum of what was read, so that nothing is optimised away. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_DRAINS 4096

static __u64 sum;

static int handle(void *context, void *data, size_t size)
{
	(void)context;
	(void)size;
	sum += *(__u32 *)data;
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

int main(int argc, char **argv)
{
	static char frame[64];
	static double drains[MAX_DRAINS];
	struct bpf_object *object;
	struct ring_buffer *ring;
	int records, count, program;

	if (argc != 3)
		return 2;
	records = atoi(argv[2]);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		return 1;
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "fill"));
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "ring"), handle, NULL, NULL);
	if (program < 0 || !ring)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%d", &count) == 1 && count > 0 && count <= MAX_DRAINS) {
		for (int i = 0; i < count; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = records);
			double started;
			int read;

			if (bpf_prog_test_run_opts(program, &run))
				return 1;
			started = now();
			read = ring_buffer__consume(ring);
			drains[i] = (now() - started) / records;
			if (read != records)
				return 1;
		}
		qsort(drains, count, sizeof(*drains), ascending);
		printf("%f %llu\n", drains[count / 2], (unsigned long long)sum);
	}
	return 0;
}
