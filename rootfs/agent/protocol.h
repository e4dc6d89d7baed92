/* SPDX-License-Identifier: MIT */
/*
 * What a guest's agent and the host say to each other over one virtio-serial port. All numbers are little-endian.
 *
 * A frame is a header and up to FRAME_MAX bytes. `id` is the number of a command (EXEC) or of an operation (OP); 0
 * elsewhere. Text lists are strings that each end with a NUL.
 *
 * Data of a stream is sent only within the credit that its reader has granted, WINDOW bytes to begin with: a command that
 * writes faster than somebody reads is stopped by its own pipe, and never holds up the others.
 */
#ifndef XDPCTL_AGENT_PROTOCOL_H
#define XDPCTL_AGENT_PROTOCOL_H

#include <stdint.h>

#define PROTOCOL_VERSION 1
#define PORT_NAME "xdpctl.agent"
#define FRAME_MAX (64 * 1024)
#define WINDOW (256 * 1024)

struct frame_header {
	uint32_t length; /* of what follows the header */
	uint32_t id;
	uint8_t type;
	uint8_t stream; /* 0 standard input, 1 standard output, 2 standard error */
	uint16_t zero;
};

enum from_host {
	HOST_OP = 1,	   /* text list: operation and arguments; answered by DONE */
	HOST_EXEC = 2,	   /* text list of KEY=VALUE: see commands.c; stream 1: more of it follows. Answered by EXIT */
	HOST_DATA = 3,	   /* for standard input */
	HOST_EOF = 4,	   /* standard input ends */
	HOST_CREDIT = 5,   /* uint32: so many more bytes of `stream` may come; id 0: so many bytes of frames have come */
	HOST_SIGNAL = 6,   /* uint32: signal for the command's process group */
	HOST_WINSIZE = 7,  /* uint16 rows, uint16 columns */
	HOST_ACK = 8,	   /* the EXIT of `id` has arrived: the agent may forget it */
	HOST_POWEROFF = 9, /* ends the guest, once every EXIT is acknowledged */
	HOST_PING = 10,	   /* answered by PONG with the same bytes */
	HOST_CLOSE = 11,   /* nobody reads `stream` any more: the command finds that out as with a pipe */
};

enum from_guest {
	GUEST_HELLO = 64,  /* text list: version, kernel release, seconds since boot */
	GUEST_DONE = 65,   /* int32 errno or 0, then text: the operation's result, or what failed */
	GUEST_DATA = 66,   /* of `stream` */
	GUEST_CREDIT = 67, /* uint32: so many more bytes of standard input may come */
	GUEST_EXIT = 68,   /* uint32 kind (enum exit_kind), uint32 value, then text for EXIT_FAILED */
	GUEST_PONG = 69,
	GUEST_KMSG = 70, /* one record of /dev/kmsg as it is */
};

enum exit_kind {
	EXIT_STATUS = 0, /* value: exit status */
	EXIT_SIGNAL = 1, /* value: signal that ended it */
	EXIT_FAILED = 2, /* value: errno; the command never ran */
};

#endif
