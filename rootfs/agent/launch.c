// SPDX-License-Identifier: MIT
/*
 * Starts a program of a virtual machine on the host: `launch [OPTION]… -- COMMAND`.
 *
 *   --parent PID    ends with the process PID, however that ends: a guest is never left behind
 *   --read-only     in a mount namespace of its own in which every file system is read-only: whatever the program does,
 *                   or is made to do by a guest, it can't write to a file
 *   --writable DIR  but for this directory (only with --read-only)
 *   --unmount DIR   without what is mounted there (only with --read-only): else it would be kept alive, and seen
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#endif

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "xdpctl-launch: %s: %m\n", what);
	exit(125);
}

static void set_read_only(const char *path, bool on, int flags)
{
	struct mount_attr attributes = { .attr_set = on ? MOUNT_ATTR_RDONLY : 0, .attr_clr = on ? 0 : MOUNT_ATTR_RDONLY };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attributes, sizeof(attributes)))
		fail(path);
}

#define MOST_UNMOUNTS 256

static void make_read_only(const char *writable, const char **unmounts, int count)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("making a mount namespace");
	for (int i = 0; i < count; i++)
		while (!umount2(unmounts[i], MNT_DETACH | UMOUNT_NOFOLLOW))
			;
	if (writable && mount(writable, writable, NULL, MS_BIND | MS_REC, NULL))
		fail(writable);
	set_read_only("/", true, AT_RECURSIVE);
	if (writable)
		set_read_only(writable, false, 0);
}

int main(int argc, char **argv)
{
	const char *writable = NULL, *unmounts[MOST_UNMOUNTS];
	bool read_only = false;
	int i, count = 0;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--parent") && i + 1 < argc) {
			const pid_t parent = atoi(argv[++i]);

			if (prctl(PR_SET_PDEATHSIG, SIGKILL))
				fail("PR_SET_PDEATHSIG");
			/* It may have ended before that. */
			if (getppid() != parent)
				return 125;
		} else if (!strcmp(argv[i], "--read-only"))
			read_only = true;
		else if (!strcmp(argv[i], "--writable") && i + 1 < argc)
			writable = argv[++i];
		else if (!strcmp(argv[i], "--unmount") && i + 1 < argc && count < MOST_UNMOUNTS)
			unmounts[count++] = argv[++i];
		else {
			fprintf(stderr, "xdpctl-launch: unknown option %s\n", argv[i]);
			return 125;
		}
	}
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: xdpctl-launch [--parent PID] [--read-only [--writable DIR] [--unmount DIR]…] -- COMMAND\n");
		return 125;
	}
	if (read_only)
		make_read_only(writable, unmounts, count);
	execvp(argv[i + 1], argv + i + 1);
	fprintf(stderr, "xdpctl-launch: %s: %m\n", argv[i + 1]);
	return errno == ENOENT ? 127 : 126;
}
