// SPDX-License-Identifier: MIT
/* AF_XDP on libxdp: `drop`, `echo` (l2fwd: swap MAC addresses and send back), `udp` (addresses
 * and ports as well) or `tx`, on queue 0 of an interface, in copy mode,
 * native XDP, need_wakeup, batches of 256; `poll` waits in poll(2), `spin` does not. Lines on standard input: `open`, `run MS`,
 * `close`; `run` answers `packets nanoseconds sendtos user-ns polls`; the user time is what no system call took. */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#define FRAMES 4096
#define FRAME 2048
#define RING 2048
#define BATCH 256
#define LENGTH 60
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

static struct xsk_umem *umem;
static struct xsk_socket *xsk;
static struct xsk_ring_prod fill, tx;
static struct xsk_ring_cons completion, rx;
static char *memory;
static __u64 stack[FRAMES];
static unsigned int frames, outstanding;
static unsigned long long sendtos, polls, packets;
static double in_calls;
static int spin, udp;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int open_socket(const char *name)
{
	struct xsk_umem_config umem_config = { .fill_size = RING, .comp_size = RING, .frame_size = FRAME };
	struct xsk_socket_config config = { .rx_size = RING, .tx_size = RING, .xdp_flags = 1U << 2 /* native */,
					    .bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP };
	int budget = 256, error = 0;
	__u32 index;

	/* libxdp leaves what the last socket had in them. */
	memset(&fill, 0, sizeof(fill));
	memset(&completion, 0, sizeof(completion));
	memset(&rx, 0, sizeof(rx));
	memset(&tx, 0, sizeof(tx));
	memory = mmap(NULL, FRAMES * FRAME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	error = xsk_umem__create(&umem, memory, FRAMES * FRAME, &fill, &completion, &umem_config);
	if (error)
		return error;
	/* The kernel lets a queue go some 32 ms after its socket was closed. */
	for (int i = 0; i < 500; i++) {
		error = xsk_socket__create(&xsk, name, 0, umem, &rx, &tx, &config);
		if (error != -EBUSY)
			break;
		usleep(2000);
	}
	if (error)
		return error;
	setsockopt(xsk_socket__fd(xsk), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	xsk_ring_prod__reserve(&fill, RING, &index);
	for (unsigned int i = 0; i < RING; i++)
		*xsk_ring_prod__fill_addr(&fill, index + i) = (__u64)i * FRAME;
	xsk_ring_prod__submit(&fill, RING);
	frames = 0;
	for (unsigned int i = RING; i < FRAMES; i++)
		stack[frames++] = (__u64)i * FRAME;
	outstanding = 0;
	return 0;
}

static void close_socket(void)
{
	xsk_socket__delete(xsk);
	xsk_umem__delete(umem);
	munmap(memory, FRAMES * FRAME);
}

static void kick(void)
{
	double began;

	if (!xsk_ring_prod__needs_wakeup(&tx))
		return;
	sendtos++;
	began = now();
	sendto(xsk_socket__fd(xsk), NULL, 0, MSG_DONTWAIT, NULL, 0);
	in_calls += now() - began;
}

static void wait_for(short events)
{
	struct pollfd entry = { .fd = xsk_socket__fd(xsk), .events = events };
	double began;

	if (spin)
		return;
	polls++;
	began = now();
	poll(&entry, 1, 10);
	in_calls += now() - began;
}

static void reap(void)
{
	__u32 index;
	unsigned int n = outstanding ? xsk_ring_cons__peek(&completion, RING, &index) : 0;

	for (unsigned int i = 0; i < n; i++)
		stack[frames++] = *xsk_ring_cons__comp_addr(&completion, index + i) & ~(__u64)(FRAME - 1);
	if (n)
		xsk_ring_cons__release(&completion, n);
	outstanding -= n;
}

static void refill(unsigned int n)
{
	__u32 index;

	n = xsk_ring_prod__reserve(&fill, n < frames ? n : frames, &index);
	for (unsigned int i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&fill, index + i) = stack[--frames];
	if (n)
		xsk_ring_prod__submit(&fill, n);
}

static void drop(void)
{
	__u32 from, to;
	unsigned int n = xsk_ring_cons__peek(&rx, BATCH, &from);

	if (!n) {
		wait_for(POLLIN);
		return;
	}
	xsk_ring_prod__reserve(&fill, n, &to);
	for (unsigned int i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&fill, to + i) = xsk_ring_cons__rx_desc(&rx, from + i)->addr & ~(__u64)(FRAME - 1);
	xsk_ring_prod__submit(&fill, n);
	xsk_ring_cons__release(&rx, n);
	packets += n;
}

static void echo(void)
{
	__u32 from, to;
	unsigned int n;

	reap();
	n = xsk_ring_cons__peek(&rx, BATCH, &from);
	if (!n) {
		if (outstanding)
			kick();
		wait_for(POLLIN);
		return;
	}
	while (xsk_ring_prod__reserve(&tx, n, &to) != n) {
		kick();
		reap();
	}
	for (unsigned int i = 0; i < n; i++) {
		const struct xdp_desc *in = xsk_ring_cons__rx_desc(&rx, from + i);
		struct xdp_desc *out = xsk_ring_prod__tx_desc(&tx, to + i);
		unsigned char *frame = xsk_umem__get_data(memory, in->addr);
		unsigned char address[6];

		memcpy(address, frame, 6);
		memcpy(frame, frame + 6, 6);
		memcpy(frame + 6, address, 6);
		if (udp && in->len >= 42) {
			memcpy(address, frame + 26, 4);
			memcpy(frame + 26, frame + 30, 4);
			memcpy(frame + 30, address, 4);
			memcpy(address, frame + 34, 2);
			memcpy(frame + 34, frame + 36, 2);
			memcpy(frame + 36, address, 2);
		}
		out->addr = in->addr;
		out->len = in->len;
		out->options = 0;
	}
	xsk_ring_prod__submit(&tx, n);
	xsk_ring_cons__release(&rx, n);
	outstanding += n;
	packets += n;
	kick();
	refill(n);
}

static void transmit(void)
{
	__u32 to;
	unsigned int n;

	reap();
	n = frames < BATCH ? frames : BATCH;
	n = xsk_ring_prod__reserve(&tx, n, &to);
	if (!n) {
		kick();
		wait_for(POLLOUT);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct xdp_desc *out = xsk_ring_prod__tx_desc(&tx, to + i);

		out->addr = stack[--frames] + 256;
		out->len = LENGTH;
		out->options = 0;
	}
	xsk_ring_prod__submit(&tx, n);
	outstanding += n;
	packets += n;
	kick();
}

int main(int argc, char **argv)
{
	void (*step)(void);
	char line[64];
	int ms;

	if (argc != 4)
		return 2;
	step = !strcmp(argv[1], "drop") ? drop : !strcmp(argv[1], "tx") ? transmit : echo;
	udp = !strcmp(argv[1], "udp");
	spin = !strcmp(argv[3], "spin");
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "open", 4)) {
			int error = open_socket(argv[2]);

			printf("%d\n", error);
			if (error)
				return 1;
		} else if (sscanf(line, "run %d", &ms) == 1) {
			double started = now(), end = started + ms * 1e6, at;

			packets = sendtos = polls = 0;
			in_calls = 0;
			do {
				for (int i = 0; i < 16; i++)
					step();
				at = now();
			} while (at < end);
			printf("%llu %.0f %llu %.0f %llu\n", packets, at - started, sendtos, at - started - in_calls, polls);
		} else {
			close_socket();
			printf("0\n");
		}
	}
	return 0;
}
