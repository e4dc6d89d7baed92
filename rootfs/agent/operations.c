// SPDX-License-Identifier: MIT
/*
 * Steps with which the host makes the guest ready: each is about one system call. What they add up to is decided on the
 * host, so that this program need not know.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/watchdog.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

#define WATCHDOG_MS 500
#define FILES_MS 100

int make_directories(const char *path)
{
	char part[PATH_MAX];

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(part, path);
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(part, 0755) && errno != EEXIST && errno != EROFS)
			return -1;
		*at = '/';
	}
	return mkdir(part, 0755) && errno != EEXIST ? -1 : 0;
}

int load_module(const char *path, const char *parameters)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result;

	if (fd < 0)
		return -1;
	result = syscall(SYS_finit_module, fd, parameters, 0);
	close(fd);
	return result && errno == EEXIST ? 0 : result;
}

static int write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	if (n >= 0 && n < (ssize_t)strlen(text)) {
		errno = ENOSPC;
		n = -1;
	}
	if (n < 0) {
		const int number = errno;

		close(fd);
		errno = number;
		return -1;
	}
	return close(fd);
}

static int copy_file(const char *from, const char *to)
{
	const int in = open(from, O_RDONLY | O_CLOEXEC);
	const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	char chunk[65536];
	ssize_t n = -1;
	int number = errno;

	if (in >= 0 && out >= 0)
		while ((n = read(in, chunk, sizeof(chunk))) > 0) {
			const ssize_t written = write(out, chunk, n);

			if (written == n)
				continue;
			number = written < 0 ? errno : ENOSPC;
			n = -1;
			break;
		}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	errno = number;
	return n < 0 ? -1 : 0;
}

/* The new root takes the place of the initramfs, whose files are freed with this program's last use of them. */
static int switch_root(const char *root)
{
	if (chdir(root) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return -1;
	return 0;
}

static int interface_up(const char *name)
{
	struct ifreq request = {};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	result = fd < 0 ? -1 : ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (!result)
		result = ioctl(fd, SIOCSIFFLAGS, &request);
	if (fd >= 0)
		close(fd);
	return result;
}

/* The guest's watchdog: from now on the machine ends when it is not fed for `seconds`. */
static int watchdog = -1;

static int start_watchdog(int seconds)
{
	if (watchdog < 0)
		watchdog = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
	return watchdog < 0 ? -1 : ioctl(watchdog, WDIOC_SETTIMEOUT, &seconds);
}

static int feed_watchdog(void)
{
	if (watchdog < 0)
		return -1;
	if (write(watchdog, "", 1) < 0)
		perror("xdpctl-agent: feeding the watchdog");
	return WATCHDOG_MS;
}

/*
 * The host's virtiofsd has a file open for every one that this kernel remembers, and may have only so many: then this
 * kernel is made to forget in time.
 */
static long most_inodes;

static int forget_files(void)
{
	FILE *counts;
	long inodes = 0, idle = 0;
	int fd;

	if (!most_inodes)
		return -1;
	counts = fopen("/proc/sys/fs/inode-nr", "re");
	if (counts) {
		if (fscanf(counts, "%ld %ld", &inodes, &idle) != 2)
			inodes = 0;
		fclose(counts);
	}
	if (inodes > most_inodes && (fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC)) >= 0) {
		if (write(fd, "2", 1) < 0)
			perror("xdpctl-agent: dropping caches");
		close(fd);
	}
	return FILES_MS;
}

int regular_duties(void)
{
	const int feed = feed_watchdog(), forget = forget_files();

	return feed < 0 || (forget >= 0 && forget < feed) ? forget : feed;
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

bool kmsg_wanted;

static int run(const char *name, char **a)
{
	if (!strcmp(name, "mkdir"))
		return make_directories(a[0]);
	if (!strcmp(name, "mount")) { /* source, target, type, flags, data */
		if (mount(or_null(a[0]), a[1], or_null(a[2]), strtoul(a[3], NULL, 0), or_null(a[4])))
			return -1;
		return 0;
	}
	if (!strcmp(name, "umount"))
		return umount2(a[0], MNT_DETACH);
	if (!strcmp(name, "module")) /* path, parameters */
		return load_module(a[0], a[1]);
	if (!strcmp(name, "write")) /* path, text */
		return write_file(a[0], a[1]);
	if (!strcmp(name, "touch")) {
		const int fd = open(a[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		return fd < 0 ? -1 : close(fd);
	}
	if (!strcmp(name, "copy")) /* from, to */
		return copy_file(a[0], a[1]);
	if (!strcmp(name, "chmod")) /* octal mode, path */
		return chmod(a[1], strtoul(a[0], NULL, 8));
	if (!strcmp(name, "chown")) /* uid, gid, path */
		return chown(a[2], strtoul(a[0], NULL, 10), strtoul(a[1], NULL, 10));
	if (!strcmp(name, "symlink")) /* target, path */
		return symlink(a[0], a[1]) && errno != EEXIST ? -1 : 0;
	if (!strcmp(name, "hostname"))
		return sethostname(a[0], strlen(a[0]));
	if (!strcmp(name, "up"))
		return interface_up(a[0]);
	if (!strcmp(name, "files")) { /* how many this kernel may remember */
		most_inodes = atol(a[0]);
		return 0;
	}
	if (!strcmp(name, "kmsg")) {
		kmsg_wanted = true;
		return 0;
	}
	if (!strcmp(name, "watchdog")) /* seconds */
		return start_watchdog(atoi(a[0]));
	if (!strcmp(name, "root"))
		return switch_root(a[0]);
	errno = ENOSYS;
	return -1;
}

void operation(uint32_t id, const char *list, size_t length)
{
	char empty[] = "", *arguments[8];
	char answer[512];
	const char *at = list, *word = list_next(&at, list + length);
	int number = EINVAL, n;

	for (int i = 0; i < 8; i++) {
		const char *argument = list_next(&at, list + length);

		arguments[i] = argument ? (char *)argument : empty;
	}
	if (word)
		number = run(word, arguments) ? (errno ? errno : EIO) : 0;
	memcpy(answer, &number, sizeof(number));
	n = snprintf(answer + sizeof(number), sizeof(answer) - sizeof(number), "%s %s %s", word ? word : "", arguments[0],
		     arguments[1]);
	if (n > (int)(sizeof(answer) - sizeof(number)))
		n = sizeof(answer) - sizeof(number);
	port_send(GUEST_DONE, 0, id, answer, sizeof(number) + n);
}
