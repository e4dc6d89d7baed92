// SPDX-License-Identifier: MIT
/* hooks OBJECT IFACE: what a policy does, without Lua: loads the guard, denies 198.18.0.0/15, attaches the guard, and
 * answers each event with an entry in the deny map. First prints the ids of the program and of the map; then each line on
 * standard input is answered with how many events there were. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct rule {
	__u64 expires_ns, hits;
	char owner[16];
	char rest[32];
};

struct lpm_key {
	__u32 prefix_len;
	unsigned char address[4];
};

static unsigned long handled;
static int deny;

static int handle(void *context, void *data, size_t size)
{
	struct rule rule = { .owner = "c" };
	struct lpm_key key = { .prefix_len = 32 };
	struct timespec t;

	(void)context;
	(void)size;
	clock_gettime(CLOCK_MONOTONIC, &t);
	rule.expires_ns = (t.tv_sec + 60) * 1000000000ULL;
	memcpy(key.address, (char *)data + 32 + 12, 4);
	bpf_map_update_elem(deny, &key, &rule, BPF_ANY);
	handled++;
	return 0;
}

static __u32 program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	struct lpm_key block = { 15, { 198, 18, 0, 0 } };
	struct rule forever = {};
	struct bpf_object *object;
	struct ring_buffer *ring;
	struct pollfd fds[2];
	int program;

	if (argc != 3)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		return 1;
	program = bpf_program__fd(bpf_object__next_program(object, NULL));
	deny = bpf_object__find_map_fd_by_name(object, "deny_v4");
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "events"), handle, NULL, NULL);
	if (!ring || bpf_map_update_elem(deny, &block, &forever, BPF_ANY))
		return 1;
	if (bpf_link_create(program, if_nametoindex(argv[2]), BPF_XDP, &opts) < 0)
		return perror("bpf_link_create"), 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%u %u %u\n", program_id(program), if_nametoindex(argv[2]), map_id(deny));
	fds[0] = (struct pollfd){ .fd = ring_buffer__epoll_fd(ring), .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = 0, .events = POLLIN };
	for (;;) {
		char line[64];

		poll(fds, 2, -1);
		if (fds[0].revents)
			ring_buffer__consume(ring);
		if (fds[1].revents) {
			if (read(0, line, sizeof(line)) <= 0)
				return 0;
			printf("%lu\n", handled);
		}
	}
}
