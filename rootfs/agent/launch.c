// SPDX-License-Identifier: MIT
/*
 * Starts a program of a virtual machine on the host: `launch [OPTION]… -- COMMAND`.
 *
 *   --parent PID    ends with the process PID, however that ends: a guest is never left behind
 *   --read-only     in a mount namespace of its own in which every file system is read-only: whatever the program does,
 *                   or is made to do by a guest, it can't write to a file
 *   --user          in a user namespace of its own in which this user is itself and has all capabilities: what needs them
 *                   works, on what is this user's
 *   --writable DIR  but for this directory or file (only with --read-only); may be given several times
 *   --at DIR        which is seen here
 *   --unmount DIR   without what is mounted there (only with --read-only): else it would be kept alive, and seen
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static void write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

/* The capabilities of a new user namespace last through execve only as ambient ones, because the user is not root. */
static void keep_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &header, sets))
		fail("capget");
	for (int i = 0; i < 2; i++)
		sets[i].inheritable = sets[i].permitted;
	if (syscall(SYS_capset, &header, sets))
		fail("capset");
	for (int capability = 0; capability <= 63; capability++)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

/*
 * QEMU's virtiofsd drops its groups when it starts, which an ordinary user may not do even in a namespace of its own.
 * There is nothing to gain by it: for this one call it is told that it has.
 */
static void pretend_setgroups(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setgroups, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		fail("setting a filter for system calls");
}

static void enter_user_namespace(void)
{
	char map[64];
	const unsigned uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWUSER))
		fail("making a user namespace");
	snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	write_text("/proc/self/gid_map", map);
	keep_capabilities();
	pretend_setgroups();
}

static void set_read_only(const char *path, bool on, int flags)
{
	struct mount_attr attributes = { .attr_set = on ? MOUNT_ATTR_RDONLY : 0, .attr_clr = on ? 0 : MOUNT_ATTR_RDONLY };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attributes, sizeof(attributes)))
		fail(path);
}

#define MOST_UNMOUNTS 256
#define MOST_WRITABLE 64

/* What stays writable, and where it is seen. */
struct place {
	const char *path, *at;
};

static void make_read_only(const struct place *writable, int places, const char **unmounts, int count)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("making a mount namespace");
	for (int i = 0; i < count; i++)
		while (!umount2(unmounts[i], MNT_DETACH | UMOUNT_NOFOLLOW))
			;
	for (int i = 0; i < places; i++)
		if (mount(writable[i].path, writable[i].at, NULL, MS_BIND | MS_REC, NULL))
			fail(writable[i].path);
	set_read_only("/", true, AT_RECURSIVE);
	for (int i = 0; i < places; i++)
		set_read_only(writable[i].at, false, 0);
}

int main(int argc, char **argv)
{
	const char *unmounts[MOST_UNMOUNTS];
	struct place writable[MOST_WRITABLE];
	bool read_only = false, user = false;
	struct rlimit files;
	int i, places = 0, count = 0;

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
		else if (!strcmp(argv[i], "--user"))
			user = true;
		else if (!strcmp(argv[i], "--at") && i + 1 < argc && places)
			writable[places - 1].at = argv[++i];
		else if (!strcmp(argv[i], "--writable") && i + 1 < argc && places < MOST_WRITABLE) {
			writable[places].path = writable[places].at = argv[++i];
			places++;
		} else if (!strcmp(argv[i], "--unmount") && i + 1 < argc && count < MOST_UNMOUNTS)
			unmounts[count++] = argv[++i];
		else {
			fprintf(stderr, "xdpctl-launch: unknown option %s\n", argv[i]);
			return 125;
		}
	}
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: xdpctl-launch [--parent PID] [--user] [--read-only [--writable DIR [--at DIR]]… [--unmount DIR]…] -- COMMAND\n");
		return 125;
	}
	/* virtiofsd holds a file open for each that the guest knows. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (user)
		enter_user_namespace();
	if (read_only)
		make_read_only(writable, places, unmounts, count);
	execvp(argv[i + 1], argv + i + 1);
	fprintf(stderr, "xdpctl-launch: %s: %m\n", argv[i + 1]);
	return errno == ENOENT ? 127 : 126;
}
