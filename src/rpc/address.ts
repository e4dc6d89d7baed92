// SPDX-License-Identifier: MIT

/** The abstract unix address of a network namespace's controller: abstract names are the namespace's own (unix(7)). */
export const CONTROL_ADDRESS = "xdpctl/control";

/** Bytes of one request; a longer line ends the connection. */
export const REQUEST_LIMIT = 1 << 20;
/** Bytes that may wait for a client that does not read; stream items beyond are dropped and counted. */
export const QUEUE_LIMIT = 1 << 20;
/** Bytes of one answer: a dump of a large map is one line. */
export const ANSWER_LIMIT = 256 << 20;
/** Requests that one client may have under way; more wait in its socket. */
export const REQUESTS_AT_ONCE = 32;
/** Subscriptions that one client may hold. */
export const SUBSCRIPTIONS_AT_ONCE = 16;
