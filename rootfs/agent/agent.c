// SPDX-License-Identifier: MIT
/*
 * The first process of a guest. It loads the modules that the initramfs lists, opens its port, and does what the host
 * asks: steps that make the guest ready, then commands. It never looks at the console, and nothing depends on that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define MODULES "/modules"
#define PORT_TIMEOUT_MS 20000
#define MOST_FDS 1024

static bool powering_off;

void frame_received(const struct frame_header *header, const char *data)
{
	uint32_t number = 0;

	if (header->length >= sizeof(number))
		memcpy(&number, data, sizeof(number));
	switch (header->type) {
	case HOST_OP:
		operation(header->id, data, header->length);
		break;
	case HOST_EXEC:
		command_start(header->id, data, header->length, header->stream == 1);
		break;
	case HOST_DATA:
		command_input(header->id, data, header->length);
		break;
	case HOST_EOF:
		command_input_end(header->id);
		break;
	case HOST_CREDIT:
		if (!header->id)
			port_taken(number);
		else
			command_credit(header->id, header->stream, number);
		break;
	case HOST_CLOSE:
		command_close(header->id, header->stream);
		break;
	case HOST_SIGNAL:
		command_signal(header->id, number);
		break;
	case HOST_WINSIZE:
		command_resize(header->id, number & 0xffff, number >> 16);
		break;
	case HOST_ACK:
		command_forget(header->id);
		break;
	case HOST_PING:
		port_send(GUEST_PONG, 0, header->id, data, header->length);
		break;
	case HOST_POWEROFF:
		powering_off = true;
		break;
	}
}

/* One path and its parameters a line, in the order in which they need each other. */
static void load_modules(void)
{
	FILE *list = fopen(MODULES, "r");
	char line[512];

	while (list && fgets(line, sizeof(line), list)) {
		char *parameters;

		line[strcspn(line, "\n")] = 0;
		parameters = strchr(line, ' ');
		if (parameters)
			*parameters++ = 0;
		if (*line && load_module(line, parameters ? parameters : ""))
			fprintf(stderr, "xdpctl-agent: %s: %m\n", line);
	}
	if (list)
		fclose(list);
}

static void hello(void)
{
	struct utsname system;
	struct timespec up;
	char text[256];
	int n;

	uname(&system);
	clock_gettime(CLOCK_BOOTTIME, &up);
	n = snprintf(text, sizeof(text), "%d%c%s%c%ld.%03ld%c", PROTOCOL_VERSION, 0, system.release, 0, (long)up.tv_sec,
		     up.tv_nsec / 1000000, 0);
	port_send(GUEST_HELLO, 0, 0, text, n);
}

/* The kernel's own words, one record each; what was overwritten before it was read is skipped. */
static void read_kmsg(int kmsg)
{
	char record[8192];

	while (port_backlog() < FRAME_MAX) {
		const ssize_t n = read(kmsg, record, sizeof(record));

		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return;
		port_send(GUEST_KMSG, 0, 0, record, n);
	}
}

static _Noreturn void power_off(void)
{
	port_drain(2000);
	sync();
	reboot(RB_POWER_OFF);
	/* Without ACPI the kernel only halts. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static _Noreturn void serve(int port, int signals, int kmsg)
{
	static struct pollfd fds[MOST_FDS];

	for (;;) {
		struct signalfd_siginfo info;
		size_t n = 3;

		fds[0] = (struct pollfd){ .fd = port, .events = port_events() };
		fds[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = kmsg_wanted && port_backlog() < FRAME_MAX ? kmsg : -1, .events = POLLIN };
		n += command_poll(fds + n, MOST_FDS - n);
		if (poll(fds, n, regular_duties()) < 0 && errno != EINTR)
			break;
		if (fds[0].revents & (POLLIN | POLLHUP) && !port_read())
			break;
		if (fds[1].revents & POLLIN && read(signals, &info, sizeof(info)) > 0)
			command_reap();
		for (size_t i = 3; i < n; i++)
			if (fds[i].revents)
				command_ready(&fds[i]);
		command_settle();
		if (fds[2].revents & POLLIN)
			read_kmsg(kmsg);
		port_write();
		if (powering_off)
			break;
	}
	/* The host asked for it, or is gone, and then nobody wants this guest any more. */
	power_off();
}

static int init_main(void)
{
	const struct rlimit files = { 65536, 1048576 };
	sigset_t child;
	int port, signals, kmsg, fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") && errno != EBUSY)
		perror("xdpctl-agent: mounting /dev");
	/* Without a console the kernel opens none of them, and what comes next would be taken for a standard stream. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd > 2)
		close(fd);
	setrlimit(RLIMIT_NOFILE, &files);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	load_modules();
	port = port_open(PORT_TIMEOUT_MS);
	if (port < 0) {
		fprintf(stderr, "xdpctl-agent: there is no virtio port " PORT_NAME "\n");
		power_off();
	}
	hello();
	port_write();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	serve(port, signals, kmsg);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "dhcp"))
		return dhcp_main(argc - 2, argv + 2);
	if (getpid() != 1) {
		fprintf(stderr, "xdpctl-agent: it is the first process of a guest; see `xdpctl vm --help`\n");
		return 2;
	}
	return init_main();
}
