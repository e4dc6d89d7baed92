/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink family ECHO: what user space and the module agree on.
 */
#ifndef GENL_ECHO_H
#define GENL_ECHO_H

#define ECHO_GENL_NAME		"ECHO"
#define ECHO_GENL_VERSION	1
#define ECHO_GENL_EVENTS	"events"

/* Bytes of a text, without its NUL. */
#define ECHO_MSG_MAX		1023

/**
 * enum echo_commands - commands of the family
 * @ECHO_C_UNSPEC: unused
 * @ECHO_C_ECHO: answers with the %ECHO_A_MSG that it came with
 * @ECHO_C_EVENT: multicast to the group %ECHO_GENL_EVENTS, never a request
 * @__ECHO_C_MAX: number of commands
 */
enum echo_commands {
	ECHO_C_UNSPEC,
	ECHO_C_ECHO,
	ECHO_C_EVENT,
	__ECHO_C_MAX,
};

/**
 * enum echo_attributes - attributes of the commands
 * @ECHO_A_UNSPEC: unused
 * @ECHO_A_MSG: text, ends with NUL (string)
 * @ECHO_A_SEQ: number of the event, from 1 since the module was loaded (u32)
 * @ECHO_A_TIME: when it happened, nanoseconds of CLOCK_MONOTONIC (u64)
 * @ECHO_A_PAD: aligns what follows
 * @__ECHO_A_MAX: number of attributes
 */
enum echo_attributes {
	ECHO_A_UNSPEC,
	ECHO_A_MSG,
	ECHO_A_SEQ,
	ECHO_A_TIME,
	ECHO_A_PAD,
	__ECHO_A_MAX,
};

#define ECHO_A_MAX (__ECHO_A_MAX - 1)

#endif /* GENL_ECHO_H */
