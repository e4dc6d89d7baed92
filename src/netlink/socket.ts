// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import {
  AF_NETLINK,
  errno,
  errnoText,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  Socket,
  syscallError,
} from "../linux/index.js";
import {
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./constants.js";
import {
  attributes,
  HEADER_LENGTH,
  message,
  messages,
  type NetlinkMessage,
  type Part,
  type Request,
  readText,
} from "./message.js";

const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const RECEIVE_BUFFER = 4 << 20;
const DATAGRAM = 256 << 10;
/** Requests of one send: their acknowledgements must fit the receive buffer. */
const BATCH = 256;
const BATCH_BYTES = 96 << 10;
const DUMP_RETRIES = 16;

const scratch = Buffer.allocUnsafeSlow(DATAGRAM);

export interface NetlinkSocketOptions {
  /** Multicast groups by number. A socket with groups is for listening only. */
  groups?: readonly number[];
  /** Have the kernel check requests strictly; on by default. */
  strict?: boolean;
}

/**
 * A netlink(7) socket of the network namespace in which it is made; it keeps working on that namespace from anywhere.
 *
 * Requests are synchronous: rtnetlink, generic netlink and nfnetlink answer within the send call, so the answer is there
 * when it returns and nothing ever waits. Multicast listeners are another socket (a notification within a dump would
 * break the dump). Errors carry the kernel's extended-ack text.
 */
export class NetlinkSocket implements Disposable {
  readonly #socket: Socket;
  #seq = 0;

  constructor(protocol: number, options: NetlinkSocketOptions = {}) {
    this.#socket = new Socket(AF_NETLINK, SOCK_RAW, protocol);
    // Without CAP_NET_ADMIN the default buffer stays.
    this.#socket.trySetOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
    this.#socket.trySetOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    this.#socket.trySetOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    if (options.strict !== false) this.#socket.trySetOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    this.#must("bind", this.#socket.bind(address));
    // A connected netlink socket takes unicasts from the kernel alone.
    this.#must("connect", this.#socket.connect(address));
    for (const group of options.groups ?? [])
      this.#must(`joining group ${group}`, this.#socket.trySetOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group));
  }

  get fd(): number {
    return this.#socket.fd;
  }

  #must(what: string, result: number): void {
    if (result < 0) {
      this.close();
      throw syscallError(`${what} of a netlink socket`, -result);
    }
  }

  /** Sends one request and returns what the kernel answered before its acknowledgement. */
  request(request: Request): NetlinkMessage[] {
    return this.execute([request]);
  }

  /**
   * Sends requests together, in order, and collects their acknowledgements. All are tried; then the first that failed is
   * thrown, and `error.cause` is its index.
   */
  execute(requests: readonly Request[]): NetlinkMessage[] {
    const answers: NetlinkMessage[] = [];
    let failure: XdpctlError | undefined;
    for (let at = 0; at < requests.length; ) {
      const { end, bytes, first } = this.#batch(requests, at);
      const start = at;
      this.#send(bytes, requests[start]?.what ?? "");
      let open = end - start;
      this.#receive(requests[start]?.what ?? "", (reply) => {
        const index = start + reply.seq - first;
        const asked = index >= start && index < end ? requests[index] : undefined;
        if (asked === undefined) return false;
        if (reply.type !== NLMSG_ERROR) {
          answers.push({ ...reply, data: Buffer.from(reply.data) });
          return false;
        }
        open--;
        const error = replyError(reply, asked.what, index);
        failure ??= error;
        return open === 0;
      });
      at = end;
    }
    if (failure !== undefined) throw failure;
    return answers;
  }

  #batch(requests: readonly Request[], at: number): { end: number; bytes: Buffer; first: number } {
    const pieces: Buffer[] = [];
    const first = this.#seq + 1;
    let size = 0;
    let end = at;
    while (end < requests.length && pieces.length < BATCH && size < BATCH_BYTES) {
      const request = requests[end] as Request;
      const piece = message(request.type, request.flags | NLM_F_REQUEST | NLM_F_ACK, ++this.#seq, request.body);
      pieces.push(piece);
      size += piece.length;
      end++;
    }
    return { end, bytes: Buffer.concat(pieces, size), first };
  }

  /**
   * Sends bytes that are already messages, and reads answers until there are none: for protocols with their own framing,
   * such as nf_tables' transactions. Throws the first error among them, which `what` names.
   */
  transact(bytes: Buffer, what: string): void {
    this.#send(bytes, what);
    let failure: XdpctlError | undefined;
    for (;;) {
      const n = this.#datagram();
      if (n === -errno.EAGAIN) break;
      if (n < 0) throw syscallError(what, -n, "XDPCTL_E_NETLINK");
      for (const reply of messages(scratch.subarray(0, n))) {
        if (reply.type === NLMSG_ERROR) failure ??= replyError(reply, what);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /**
   * A dump, read to its end. `handler` gets each message; its data are valid only during the call. A dump that changed
   * while it was read (NLM_F_DUMP_INTR) is read again; `restart` is called before.
   */
  dump(type: number, body: Part, what: string, handler: (message: NetlinkMessage) => void, restart: () => void): void {
    for (let attempt = 0; attempt < DUMP_RETRIES; attempt++) {
      if (attempt > 0) restart();
      const seq = ++this.#seq;
      this.#send(message(type, NLM_F_REQUEST | NLM_F_DUMP, seq, body), what);
      let interrupted = false;
      this.#receive(what, (reply) => {
        if (reply.seq !== seq) return false;
        if ((reply.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (reply.type === NLMSG_ERROR || reply.type === NLMSG_DONE) {
          const error = reply.data.length >= 4 ? replyError(reply, what) : undefined;
          if (error !== undefined) throw error;
          return true;
        }
        handler(reply);
        return false;
      });
      if (!interrupted) return;
    }
    throw new XdpctlError("XDPCTL_E_NETLINK", `${what}: it changed during each of ${DUMP_RETRIES} reads`);
  }

  #send(bytes: Buffer, what: string): void {
    const n = this.#socket.send(bytes);
    if (n < 0) throw syscallError(what, -n, "XDPCTL_E_NETLINK");
  }

  #datagram(): number {
    const n = this.#socket.receive(scratch, MSG_DONTWAIT | MSG_TRUNC);
    if (n > scratch.length) throw new XdpctlError("XDPCTL_E_NETLINK", `a netlink message of ${n} bytes was cut`);
    return n;
  }

  #receive(what: string, handler: (message: NetlinkMessage) => boolean): void {
    for (;;) {
      const n = this.#datagram();
      if (n === -errno.EAGAIN) throw new XdpctlError("XDPCTL_E_NETLINK", `${what}: the kernel gave no answer`);
      if (n < 0) throw syscallError(what, -n, "XDPCTL_E_NETLINK");
      let done = false;
      for (const reply of messages(scratch.subarray(0, n))) done = handler(reply) || done;
      if (done) return;
    }
  }

  /**
   * Reads notifications that wait, at most `limit` datagrams. Returns how many, or -ENOBUFS when the kernel had to drop
   * some: then state must be read anew.
   */
  notifications(limit: number, handler: (message: NetlinkMessage) => void): number {
    let count = 0;
    for (; count < limit && !this.#socket.closed; count++) {
      const n = this.#datagram();
      if (n === -errno.EAGAIN) return count;
      if (n === -errno.ENOBUFS) return n;
      if (n < 0) throw syscallError("reading netlink notifications", -n, "XDPCTL_E_NETLINK");
      for (const one of messages(scratch.subarray(0, n))) handler(one);
    }
    return count;
  }

  /** Sets the size of the receive buffer, in bytes. */
  setReceiveBuffer(bytes: number): void {
    this.#socket.trySetOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const NLMSGERR_ATTR_MSG = 1;

/** The error of an acknowledgement (undefined for success), with the kernel's extended-ack text. */
function replyError(reply: NetlinkMessage, what: string, index?: number): XdpctlError | undefined {
  const number = -reply.data.readInt32LE(0);
  if (number === 0) return undefined;
  let kernel: string | undefined;
  if ((reply.flags & NLM_F_ACK_TLVS) !== 0) {
    // NLMSG_DONE carries the TLVs after its errno; NLMSG_ERROR after the header of the request (CAP_ACK cuts the rest).
    const tlvs = reply.data.subarray(reply.type === NLMSG_DONE ? 4 : 4 + HEADER_LENGTH);
    kernel = readText(attributes(tlvs).get(NLMSGERR_ATTR_MSG)) || undefined;
  }
  const code = number === errno.EPERM ? "XDPCTL_E_PERMISSION" : "XDPCTL_E_NETLINK";
  const reason = kernel === undefined ? errnoText(number) : `${kernel}: ${errnoText(number)}`;
  return new XdpctlError(code, `${what}: ${reason}`, {
    errno: number,
    ...(kernel === undefined ? {} : { kernel }),
    ...(index === undefined ? {} : { cause: index }),
  });
}
