// SPDX-License-Identifier: MIT
/* Sends 60-byte UDP frames out of an interface by live test runs (BPF_F_TEST_XDP_LIVE_FRAMES). One line on standard input:
 * milliseconds; one line back when they are over: how many frames were sent. A third argument is how many a second. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Between two runs the kernel takes some 27 ms, which a rate would miss. */
#define REPEAT (paced ? 1 << 24 : 1 << 18)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	/* Addresses that are nobody's: what comes back ends at the stack's first look. */
	static unsigned char frame[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17,
					   0, 0, 10, 9, 0, 1, 10, 9, 0, 2, 0x23, 0x28, 0x23, 0x28, 0, 26 };
	struct bpf_object *object;
	int program, ms, paced = argc == 4;
	struct bpf_map *constants;
	size_t size;

	if (argc != 3 && argc != 4)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		return 1;
	constants = bpf_object__find_map_by_name(object, ".rodata");
	if (paced && constants)
		*(unsigned long long *)bpf_map__initial_value(constants, &size) = 1000000000ULL / strtoull(argv[3], NULL, 10);
	if (bpf_object__load(object))
		return 1;
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "reflect"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%d", &ms) == 1) {
		struct xdp_md md = { .data_end = sizeof(frame), .ingress_ifindex = if_nametoindex(argv[2]) };
		double end = now() + ms;
		unsigned long long sent = 0;

		while (now() < end) {
			LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &md,
				    .ctx_size_in = sizeof(md), .repeat = REPEAT, .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
				    .batch_size = 64);

			if (bpf_prog_test_run_opts(program, &run)) {
				perror("test run");
				return 1;
			}
			sent += REPEAT;
		}
		printf("%llu\n", sent);
	}
	return 0;
}
