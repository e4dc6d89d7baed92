// SPDX-License-Identifier: MIT
/* Attaches a program to an interface by a bpf_link. Each line on standard input is a number of replaces; the answer is the
 * milliseconds that one took. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int programs[2], link, count;

	if (argc != 3)
		return 2;
	for (int i = 0; i < 2; i++) {
		struct bpf_object *object = bpf_object__open_file(argv[1], NULL);

		if (!object || bpf_object__load(object))
			return 1;
		programs[i] = bpf_program__fd(bpf_object__next_program(object, NULL));
	}
	link = bpf_link_create(programs[0], if_nametoindex(argv[2]), BPF_XDP, &opts);
	if (link < 0)
		return perror("bpf_link_create"), 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (scanf("%d", &count) == 1) {
		double started = now();

		for (int i = 0; i < count; i++)
			if (bpf_link_update(link, programs[(i + 1) % 2], NULL))
				return perror("bpf_link_update"), 1;
		printf("%f\n", (now() - started) / count);
	}
	return 0;
}
