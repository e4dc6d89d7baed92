/* SPDX-License-Identifier: MIT */
#ifndef XDPCTL_AGENT_H
#define XDPCTL_AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* port.c: the way to the host */
int port_open(int timeout_ms);
bool port_connected(void);
short port_events(void);
/* Queues a frame; nothing waits. */
void port_send(uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t length);
void port_write(void);
/* The host has taken so many bytes out of its socket. */
void port_taken(size_t bytes);
/* Bytes that the host has not taken yet. */
size_t port_backlog(void);
/* Reads what there is, and calls frame_received for each whole frame. False where the host is gone. */
bool port_read(void);
/* Blocks until all that is queued was handed over, for `timeout_ms` at most. */
void port_drain(int timeout_ms);

/* commands.c: what the host runs here */
void command_start(uint32_t id, const char *list, size_t length, bool more);
void command_input(uint32_t id, const char *data, size_t length);
void command_input_end(uint32_t id);
void command_credit(uint32_t id, int stream, uint32_t bytes);
void command_close(uint32_t id, int stream);
void command_signal(uint32_t id, int number);
void command_resize(uint32_t id, unsigned rows, unsigned columns);
void command_forget(uint32_t id);
/* Adds what the commands wait for; returns how many descriptors. */
size_t command_poll(struct pollfd *fds, size_t room);
void command_ready(const struct pollfd *fd);
void command_reap(void);
/* Sends what the ends of commands are waiting for. */
void command_settle(void);

/* operations.c: how the guest is made ready; synchronous */
void operation(uint32_t id, const char *list, size_t length);
int load_module(const char *path, const char *parameters);
/* What is to be done from time to time; returns in how many ms again, or -1. */
int regular_duties(void);
/* Whether the host wants the kernel's log. */
extern bool kmsg_wanted;
int make_directories(const char *path);

/* dhcp.c: `agent dhcp INTERFACE SECONDS` */
int dhcp_main(int argc, char **argv);

/* lists.c: strings that each end with a NUL */
const char *list_next(const char **at, const char *end);

#endif
