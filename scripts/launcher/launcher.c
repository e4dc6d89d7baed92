// SPDX-License-Identifier: MIT
/*
 * Runs one xdpctl with capabilities that its user lacks. scripts/install-capabilities compiles it with the paths of Node and of
 * xdpctl in it, gives it the capabilities as a file, and lets one group execute it.
 *
 * A capable copy of Node would run anybody's script with them. This runs nothing but what root has put there, with an
 * environment, descriptors and signals that the user can't use to make it run something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(NODE) || !defined(PROGRAM)
#error "scripts/install-capabilities compiles this with -DNODE and -DPROGRAM"
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "an architecture that this doesn't know"
#endif

/*
 * An AF_XDP socket takes CAP_NET_RAW; a program CAP_BPF, CAP_PERFMON where it subtracts pointers (as for a frame's length), and
 * to attach it CAP_NET_ADMIN.
 */
static const int capabilities[] = {CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON};
/* What needs no more than that, loads nothing that the user gives, and starts nothing but by dropping them (`open`). */
static const char *const verbs[] = {"echo", "drop", "forward", "filter", "change-word", "tunnel",
                                    "send", "latency", "throughput", "dump", "open", "--help", "-h"};
static const char *const others[] = {"version", "--version", "-V", "help", "--help", "-h"};
/* Passed on where they are harmless: NODE_OPTIONS, LD_PRELOAD, HOME and all else would be code or files of the user's. */
static const char *const passed[] = {"TERM", "LANG", "LC_ALL", "LC_CTYPE", "COLUMNS", "LINES", "NO_COLOR"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* The exit status of xdpctl's class "permission". */
#define REFUSED 3
#define BROKEN 1

static _Noreturn void die(int status, const char *what) {
    fprintf(stderr, "error: %s\n", what);
    exit(status);
}

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
    exit(BROKEN);
}

static int among(const char *word, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0) return 1;
    return 0;
}

static void check_command(int argc, char **argv) {
    if (argc < 2 || among(argv[1], others, COUNT(others))) return;
    if (strcmp(argv[1], "xsk") != 0)
        die(REFUSED, "this is xdpctl for `xsk` alone: all else needs root (sudo xdpctl ...)");
    if (argc > 2 && !among(argv[2], verbs, COUNT(verbs)))
        die(REFUSED, "this command of `xsk` needs root (sudo xdpctl xsk ...)");
}

/* Only the standard streams are passed on: a file that a capable program opens must not become one of them. */
static void check_descriptors(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) die(REFUSED, "standard input, output and error must be open");
    if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0) fail("closing descriptors");
}

/* Letters, digits and a few signs: no path, and nothing long. */
static int harmless(const char *value) {
    size_t length = strlen(value);
    return length < 64 && strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@+-") == length;
}

static char **environment(void) {
    static char *list[COUNT(passed) + 3];
    size_t n = 0;
    list[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    /* xdpctl keeps its capabilities from the programs that it starts. */
    list[n++] = "XDPCTL_LAUNCHED=1";
    for (size_t i = 0; i < COUNT(passed); i++) {
        const char *value = getenv(passed[i]);
        if (value == NULL || !harmless(value)) continue;
        if (asprintf(&list[n++], "%s=%s", passed[i], value) < 0) fail("the environment");
    }
    list[n] = NULL;
    return list;
}

/*
 * SIGUSR1 opens Node's debugger, for anybody who may send the signal and connect: the user. It is ignored, and the system call
 * that would let Node listen for it again does nothing. No program started from here gains privilege by itself, either.
 */
static void ignore_sigusr1(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGUSR1, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    if (signal(SIGUSR1, SIG_IGN) == SIG_ERR) fail("ignoring SIGUSR1");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("PR_SET_NO_NEW_PRIVS");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) fail("PR_SET_SECCOMP");
}

/* Exactly these, and as ambient ones: Node's file has none, and what it executes gets them no other way. */
static void raise_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    for (size_t i = 0; i < COUNT(capabilities); i++) {
        struct __user_cap_data_struct *half = &data[CAP_TO_INDEX(capabilities[i])];
        half->permitted |= CAP_TO_MASK(capabilities[i]);
        half->effective |= CAP_TO_MASK(capabilities[i]);
        half->inheritable |= CAP_TO_MASK(capabilities[i]);
    }
    if (syscall(SYS_capset, &header, data) < 0)
        die(REFUSED, "this file has lost its capabilities: scripts/install-capabilities installs it anew");
    for (size_t i = 0; i < COUNT(capabilities); i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilities[i], 0, 0) < 0) fail("PR_CAP_AMBIENT_RAISE");
}

int main(int argc, char **argv) {
    check_command(argc, argv);
    check_descriptors();
    umask(022);
    char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
    if (arguments == NULL) fail("the arguments");
    arguments[0] = NODE;
    arguments[1] = PROGRAM;
    for (int i = 1; i < argc; i++) arguments[i + 1] = argv[i];
    char **variables = environment();
    ignore_sigusr1();
    raise_capabilities();
    execve(NODE, arguments, variables);
    fail(NODE);
}
