// SPDX-License-Identifier: MIT
/*
 * Commands that the host runs in the guest. Their standard streams are pipes or one terminal; what they write is read
 * only within the host's credit, so a reader that stops holds up its own command and no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

#define MOST_COMMANDS 256
#define MOST_WORDS 65536
#define CHUNK (32 * 1024)
/* Output that the host has not taken: above this, commands wait. */
#define MOST_BACKLOG (512 * 1024)

struct command {
	uint32_t id;
	pid_t pid;
	int terminal; /* bit n: stream n is the terminal */
	int fds[3];   /* our ends; -1 where closed */
	uint32_t credit[3];
	int left[3]; /* of a command that has ended: bytes that are still to be read of its pipes; -1 before */
	char *input;
	size_t input_start, input_length;
	bool input_ends, exited, told;
	int status;
};

struct start {
	uid_t uid;
	int mask; /* umask */
	gid_t gid;
	gid_t groups[256];
	int ngroups;
	int terminal;
	int merged; /* what is for its standard output goes to its standard error */
	unsigned rows, columns;
	const char *cwd;
	const char *namespaces; /* a folder with the files `uts`, `net` and `mnt`: the command runs in these */
	char *argv[MOST_WORDS], *envp[MOST_WORDS];
	int argc, envc;
};

static struct command *commands[MOST_COMMANDS];

static struct command *find(uint32_t id)
{
	for (int i = 0; i < MOST_COMMANDS; i++)
		if (commands[i] && commands[i]->id == id)
			return commands[i];
	return NULL;
}

static void tell_exit(uint32_t id, uint32_t kind, uint32_t value, const char *text)
{
	char payload[512];
	const uint32_t numbers[2] = { kind, value };
	const size_t whole = strlen(text), most = sizeof(payload) - sizeof(numbers);
	const size_t length = whole < most ? whole : most;

	memcpy(payload, numbers, sizeof(numbers));
	memcpy(payload + sizeof(numbers), text, length);
	port_send(GUEST_EXIT, 0, id, payload, sizeof(numbers) + length);
}

static void parse(struct start *start, const char *list, size_t length)
{
	const char *at = list, *word;

	while ((word = list_next(&at, list + length))) {
		const char *value = strchr(word, '=');

		if (!value)
			continue;
		value++;
		if (!strncmp(word, "a=", 2) && start->argc < MOST_WORDS - 1)
			start->argv[start->argc++] = (char *)value;
		else if (!strncmp(word, "e=", 2) && start->envc < MOST_WORDS - 1)
			start->envp[start->envc++] = (char *)value;
		else if (!strncmp(word, "cwd=", 4))
			start->cwd = value;
		else if (!strncmp(word, "namespaces=", 11))
			start->namespaces = value;
		else if (!strncmp(word, "uid=", 4))
			start->uid = strtoul(value, NULL, 10);
		else if (!strncmp(word, "umask=", 6))
			start->mask = strtoul(value, NULL, 8);
		else if (!strncmp(word, "gid=", 4))
			start->gid = strtoul(value, NULL, 10);
		else if (!strncmp(word, "group=", 6) && start->ngroups < 256)
			start->groups[start->ngroups++] = strtoul(value, NULL, 10);
		else if (!strncmp(word, "merged=", 7))
			start->merged = atoi(value);
		else if (!strncmp(word, "terminal=", 9))
			sscanf(value, "%d,%u,%u", &start->terminal, &start->rows, &start->columns);
	}
}

/* In the child: says why the command can't run, and ends. */
static _Noreturn void fail(int report, const char *what)
{
	char text[256];
	const int number = errno;
	int n;

	memcpy(text, &number, sizeof(number));
	n = snprintf(text + sizeof(number), sizeof(text) - sizeof(number), "%s", what);
	if (write(report, text, sizeof(number) + n) < 0)
		_exit(126);
	_exit(127);
}

/* The namespace of mounts comes last: the files of the others are only seen from ours. */
static void enter(const char *folder, int report)
{
	static const char *const names[] = { "uts", "net", "mnt" };

	for (int i = 0; i < 3; i++) {
		char path[512];
		int fd;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >= sizeof(path)) {
			errno = ENAMETOOLONG;
			fail(report, "entering its machine");
		}
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, 0))
			fail(report, "entering its machine");
		close(fd);
	}
}

static _Noreturn void become(const struct start *start, const int streams[3], int report)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	umask(start->mask);
	for (int i = 0; i < 3; i++)
		if (start->terminal & 1 << i) {
			ioctl(streams[i], TIOCSCTTY, 0);
			break;
		}
	for (int i = 0; i < 3; i++)
		if (dup2(streams[start->merged && i == 1 ? 2 : i], i) < 0)
			fail(report, "setting up its standard streams");
	if (start->namespaces)
		enter(start->namespaces, report);
	if (setgroups(start->ngroups, start->groups) || setgid(start->gid) || setuid(start->uid))
		fail(report, "becoming its user");
	/* Who enters a machine comes from a folder that need not be there. */
	if (start->cwd && chdir(start->cwd) && !start->namespaces)
		fail(report, "entering its working directory");
	environ = (char **)start->envp;
	execvp(start->argv[0], start->argv);
	fail(report, "");
}

/* Makes the child's ends of the streams, and ours. All are above 2, because init keeps the console on 0 to 2. */
static int open_streams(struct command *command, const struct start *start, int streams[3])
{
	int master = -1, slave = -1;
	struct winsize size = { .ws_row = start->rows, .ws_col = start->columns };

	if (start->terminal && openpty(&master, &slave, NULL, NULL, &size))
		return -1;
	for (int i = 0; i < 3; i++) {
		int ends[2];

		if (start->terminal & 1 << i) {
			streams[i] = slave;
			continue;
		}
		if (pipe2(ends, O_CLOEXEC))
			return -1;
		streams[i] = ends[i ? 1 : 0];
		command->fds[i] = ends[i ? 0 : 1];
		fcntl(command->fds[i], F_SETFL, O_NONBLOCK);
	}
	if (master < 0)
		return 0;
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	/* One end is read and written: input goes in by a copy of it. */
	if (start->terminal & 1)
		command->fds[0] = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (start->terminal & 6)
		command->fds[start->terminal & 2 ? 1 : 2] = master;
	else
		close(master);
	return 0;
}

static void forget(struct command *command)
{
	for (int i = 0; i < 3; i++)
		if (command->fds[i] >= 0)
			close(command->fds[i]);
	for (int i = 0; i < MOST_COMMANDS; i++)
		if (commands[i] == command)
			commands[i] = NULL;
	free(command->input);
	free(command);
}

static struct command *new_command(uint32_t id)
{
	for (int i = 0; i < MOST_COMMANDS; i++) {
		if (commands[i])
			continue;
		struct command *command = calloc(1, sizeof(*command));

		if (!command || !(command->input = malloc(WINDOW)))
			abort();
		command->id = id;
		command->fds[0] = command->fds[1] = command->fds[2] = -1;
		command->credit[1] = command->credit[2] = WINDOW;
		command->left[1] = command->left[2] = -1;
		commands[i] = command;
		return command;
	}
	return NULL;
}

/* Lists that are longer than a frame, as far as they came. */
#define MOST_PARTIAL 16
#define LONGEST_LIST (4 * 1024 * 1024)
static struct {
	uint32_t id;
	char *data;
	size_t length;
} partial[MOST_PARTIAL];

/* Adds a piece to the list of `id`; NULL where there is no room for it. */
static char *append(uint32_t id, const char *list, size_t *length)
{
	int slot = -1;

	for (int i = 0; i < MOST_PARTIAL; i++)
		if (partial[i].data ? partial[i].id == id : slot < 0)
			slot = i;
	if (slot < 0 || partial[slot].length + *length > LONGEST_LIST)
		return NULL;
	partial[slot].data = realloc(partial[slot].data, partial[slot].length + *length);
	if (!partial[slot].data)
		abort();
	memcpy(partial[slot].data + partial[slot].length, list, *length);
	partial[slot].id = id;
	partial[slot].length += *length;
	*length = partial[slot].length;
	return partial[slot].data;
}

static bool is_partial(uint32_t id)
{
	for (int i = 0; i < MOST_PARTIAL; i++)
		if (partial[i].data && partial[i].id == id)
			return true;
	return false;
}

static void drop_partial(uint32_t id)
{
	for (int i = 0; i < MOST_PARTIAL; i++)
		if (partial[i].data && partial[i].id == id) {
			free(partial[i].data);
			partial[i].data = NULL;
			partial[i].length = 0;
		}
}

void command_start(uint32_t id, const char *list, size_t length, bool more)
{
	static struct start start;
	int streams[3] = { -1, -1, -1 }, report[2] = { -1, -1 };
	struct command *command;
	char failure[256];
	ssize_t n;

	if (more || is_partial(id)) {
		list = append(id, list, &length);
		if (!list) {
			drop_partial(id);
			tell_exit(id, EXIT_FAILED, E2BIG, "");
			return;
		}
		if (more)
			return;
	}
	memset(&start, 0, sizeof(start));
	start.mask = 022;
	parse(&start, list, length);
	command = find(id) ? NULL : new_command(id);
	if (!command) {
		tell_exit(id, EXIT_FAILED, EAGAIN, "too many commands");
		return;
	}
	command->terminal = start.terminal;
	if (!start.argc || open_streams(command, &start, streams) || pipe2(report, O_CLOEXEC) ||
	    (command->pid = fork()) < 0) {
		tell_exit(id, EXIT_FAILED, start.argc ? errno : EINVAL, "starting it");
		command->told = command->exited = true;
		command->pid = 0;
	} else if (command->pid == 0) {
		become(&start, streams, report[1]);
	}
	drop_partial(id);
	for (int i = 0; i < 3; i++) {
		if (streams[i] < 0)
			continue;
		for (int j = i + 1; j < 3; j++)
			if (streams[j] == streams[i])
				streams[j] = -1;
		close(streams[i]);
	}
	if (report[1] >= 0)
		close(report[1]);
	if (report[0] < 0)
		return;
	/* Ends with the exec: by then the command runs, or has said why it does not. */
	while ((n = read(report[0], failure, sizeof(failure) - 1)) < 0 && errno == EINTR)
		;
	close(report[0]);
	if (n >= (ssize_t)sizeof(int)) {
		int number;

		memcpy(&number, failure, sizeof(number));
		failure[n] = 0;
		tell_exit(id, EXIT_FAILED, number, failure + sizeof(number));
		command->told = true;
	}
}

static void write_input(struct command *command)
{
	uint32_t taken = 0;

	while (command->input_length && command->fds[0] >= 0) {
		ssize_t n = write(command->fds[0], command->input + command->input_start, command->input_length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* Nobody reads it any more: it is thrown away, as a pipe would do. */
		if (n < 0) {
			close(command->fds[0]);
			command->fds[0] = -1;
			n = command->input_length;
		}
		command->input_start += n;
		command->input_length -= n;
		taken += n;
	}
	if (!command->input_length)
		command->input_start = 0;
	if (taken)
		port_send(GUEST_CREDIT, 0, command->id, &taken, sizeof(taken));
	if (command->input_ends && !command->input_length && command->fds[0] >= 0) {
		if (command->terminal & 1) {
			static const char end_of_file = 4;

			if (write(command->fds[0], &end_of_file, 1) < 0 && errno == EAGAIN)
				return;
		} else {
			close(command->fds[0]);
			command->fds[0] = -1;
		}
		command->input_ends = false;
	}
}

void command_input(uint32_t id, const char *data, size_t length)
{
	struct command *command = find(id);

	if (!command)
		return;
	if (command->fds[0] < 0 || command->exited) {
		const uint32_t all = length;

		port_send(GUEST_CREDIT, 0, id, &all, sizeof(all));
		return;
	}
	if (command->input_start + command->input_length + length > WINDOW) {
		memmove(command->input, command->input + command->input_start, command->input_length);
		command->input_start = 0;
	}
	if (command->input_length + length > WINDOW)
		return; /* more than its credit */
	memcpy(command->input + command->input_start + command->input_length, data, length);
	command->input_length += length;
	write_input(command);
}

void command_input_end(uint32_t id)
{
	struct command *command = find(id);

	if (!command)
		return;
	command->input_ends = true;
	write_input(command);
}

void command_credit(uint32_t id, int stream, uint32_t bytes)
{
	struct command *command = find(id);

	if (command && stream > 0 && stream < 3)
		command->credit[stream] += bytes;
}

void command_close(uint32_t id, int stream)
{
	struct command *command = find(id);

	if (!command || stream < 1 || stream > 2 || command->fds[stream] < 0 || command->terminal & 1 << stream)
		return;
	close(command->fds[stream]);
	command->fds[stream] = -1;
}

void command_signal(uint32_t id, int number)
{
	struct command *command = find(id);

	if (command && command->pid > 0 && !command->exited)
		kill(-command->pid, number);
}

void command_resize(uint32_t id, unsigned rows, unsigned columns)
{
	const struct winsize size = { .ws_row = rows, .ws_col = columns };
	struct command *command = find(id);

	for (int i = 0; command && i < 3; i++)
		if (command->fds[i] >= 0 && command->terminal & 1 << i)
			ioctl(command->fds[i], TIOCSWINSZ, &size);
}

void command_forget(uint32_t id)
{
	struct command *command = find(id);

	if (command && command->told)
		forget(command);
}

static bool may_read(const struct command *command, int stream)
{
	return command->fds[stream] >= 0 && command->credit[stream] > 0 && port_backlog() < MOST_BACKLOG;
}

size_t command_poll(struct pollfd *fds, size_t room)
{
	size_t n = 0;

	for (int i = 0; i < MOST_COMMANDS; i++) {
		const struct command *command = commands[i];

		if (!command || n + 3 > room)
			continue;
		if (command->fds[0] >= 0 && (command->input_length || command->input_ends))
			fds[n++] = (struct pollfd){ .fd = command->fds[0], .events = POLLOUT };
		for (int stream = 1; stream < 3; stream++)
			if (may_read(command, stream))
				fds[n++] = (struct pollfd){ .fd = command->fds[stream], .events = POLLIN };
	}
	return n;
}

/* Reads one chunk; false where there is nothing (more) to read for now. */
static bool read_output(struct command *command, int stream)
{
	static char chunk[CHUNK];
	size_t most = command->credit[stream] < CHUNK ? command->credit[stream] : CHUNK;
	ssize_t n;

	/* When the command has ended, what its children still write is not waited for: they may never stop. */
	if (command->left[stream] >= 0 && (size_t)command->left[stream] < most)
		most = command->left[stream];
	n = most ? read(command->fds[stream], chunk, most) : 0;
	if (n > 0) {
		if (command->left[stream] >= 0)
			command->left[stream] -= n;
		command->credit[stream] -= n;
		port_send(GUEST_DATA, stream, command->id, chunk, n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	/* A terminal that nobody holds open any more answers with EIO. */
	if (n == 0 || errno != EAGAIN || command->exited) {
		close(command->fds[stream]);
		command->fds[stream] = -1;
	}
	return false;
}

void command_ready(const struct pollfd *fd)
{
	for (int i = 0; i < MOST_COMMANDS; i++) {
		struct command *command = commands[i];

		if (!command)
			continue;
		if (command->fds[0] == fd->fd)
			write_input(command);
		for (int stream = 1; stream < 3; stream++)
			if (command->fds[stream] == fd->fd && may_read(command, stream))
				read_output(command, stream);
	}
}

void command_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MOST_COMMANDS; i++)
			if (commands[i] && commands[i]->pid == pid && !commands[i]->exited) {
				commands[i]->exited = true;
				commands[i]->status = status;
				for (int stream = 1; stream < 3; stream++)
					if (commands[i]->fds[stream] < 0 ||
					    ioctl(commands[i]->fds[stream], FIONREAD, &commands[i]->left[stream]))
						commands[i]->left[stream] = 0;
			}
}

void command_settle(void)
{
	for (int i = 0; i < MOST_COMMANDS; i++) {
		struct command *command = commands[i];

		if (!command || !command->exited || command->told)
			continue;
		for (int stream = 1; stream < 3; stream++)
			while (may_read(command, stream) && read_output(command, stream))
				;
		if (command->fds[1] >= 0 || command->fds[2] >= 0)
			continue;
		if (command->fds[0] >= 0)
			close(command->fds[0]);
		command->fds[0] = -1;
		if (WIFSIGNALED(command->status))
			tell_exit(command->id, EXIT_SIGNAL, WTERMSIG(command->status), "");
		else
			tell_exit(command->id, EXIT_STATUS, WEXITSTATUS(command->status), "");
		command->told = true;
	}
}
