// SPDX-License-Identifier: MIT
import { check, errno, lastErrno, syscallError } from "./errno.js";
import { OwnedFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_XDP = 44;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SOL_PACKET = 263;
export const SOL_NETLINK = 270;
export const SOL_XDP = 283;
export const IPPROTO_MPTCP = 262;
export const SO_REUSEADDR = 2;
export const SO_PEERCRED = 17;
export const SO_DOMAIN = 39;
export const SO_RCVBUFFORCE = 33;
export const SO_BUSY_POLL = 46;
export const SO_PREFER_BUSY_POLL = 69;
export const SO_BUSY_POLL_BUDGET = 70;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

const socket_ = lazy<(domain: number, type: number, protocol: number) => number>(libc, "int socket(int, int, int)");
const bind_ = lazy<(fd: number, address: Buffer, length: number) => number>(
  libc,
  "int bind(int, const void *, uint32_t)",
);
const connect_ = lazy<(fd: number, address: Buffer, length: number) => number>(
  libc,
  "int connect(int, const void *, uint32_t)",
);
const listen_ = lazy<(fd: number, backlog: number) => number>(libc, "int listen(int, int)");
const send_ = lazy<(fd: number, buffer: NodeJS.TypedArray, length: number, flags: number) => number>(
  libc,
  "long send(int, const void *, size_t, int)",
);
const recv_ = lazy<(fd: number, buffer: NodeJS.TypedArray, length: number, flags: number) => number>(
  libc,
  "long recv(int, void *, size_t, int)",
);
const setsockopt_ = lazy<(fd: number, level: number, name: number, value: NodeJS.TypedArray, length: number) => number>(
  libc,
  "int setsockopt(int, int, int, const void *, uint32_t)",
);
const getsockopt_ = lazy<
  (fd: number, level: number, name: number, value: NodeJS.TypedArray, length: Uint32Array) => number
>(libc, "int getsockopt(int, int, int, void *, void *)");

/** socket(2), close-on-exec. */
export class Socket extends OwnedFd {
  constructor(domain: number, type: number, protocol: number, given?: number) {
    super(given ?? check("socket", socket_(domain, type | SOCK_CLOEXEC, protocol)));
  }

  /** A socket that this process was given; it is this object's from now on. */
  static adopt(fd: number): Socket {
    return new Socket(0, 0, 0, fd);
  }

  /** bind(2); returns 0 or the negative errno. */
  bind(address: Buffer): number {
    return bind_(this.fd, address, address.length) < 0 ? -lastErrno() : 0;
  }

  /** connect(2); returns 0 or the negative errno. */
  connect(address: Buffer): number {
    return connect_(this.fd, address, address.length) < 0 ? -lastErrno() : 0;
  }

  listen(backlog: number): void {
    check("listen", listen_(this.fd, backlog));
  }

  /** send(2) with MSG_NOSIGNAL; returns the byte count or the negative errno. */
  send(bytes: NodeJS.TypedArray, flags = 0): number {
    return sendFd(this.fd, bytes, flags);
  }

  /** recv(2); returns the byte count or the negative errno. */
  receive(into: NodeJS.TypedArray, flags = 0): number {
    for (;;) {
      const n = Number(recv_(this.fd, into, into.byteLength, flags));
      if (n >= 0) return n;
      const e = lastErrno();
      if (e !== errno.EINTR) return -e;
    }
  }

  setOption(level: number, name: number, value: number): void {
    const result = this.trySetOption(level, name, value);
    if (result < 0) throw syscallError(`setsockopt ${level}/${name}`, -result);
  }

  /** setsockopt(2) with an int; returns 0 or the negative errno. */
  trySetOption(level: number, name: number, value: number): number {
    return setsockopt_(this.fd, level, name, new Int32Array([value]), 4) < 0 ? -lastErrno() : 0;
  }

  /** setsockopt(2) with a structure; returns 0 or the negative errno. */
  setOptionBytes(level: number, name: number, value: NodeJS.TypedArray): number {
    return setsockopt_(this.fd, level, name, value, value.byteLength) < 0 ? -lastErrno() : 0;
  }

  /** The descriptor itself; this object no longer closes it. */
  release(): number {
    return this.detach();
  }
}

/** send(2) with MSG_NOSIGNAL on any descriptor. */
export function sendFd(fd: number, bytes: NodeJS.TypedArray, flags = 0): number {
  for (;;) {
    const n = Number(send_(fd, bytes, bytes.byteLength, flags | MSG_NOSIGNAL));
    if (n >= 0) return n;
    const e = lastErrno();
    if (e !== errno.EINTR) return -e;
  }
}

type Wake = (fd: number, address: number, length: number, flags: number) => number;
let send: Wake | undefined;
let recv: Wake | undefined;

/**
 * send(2) of nothing: an AF_XDP socket's driver is told to look at its TX ring. 0 or the negative errno. Bound without
 * `lazy`, whose arguments go through an array, and with numbers alone, which take koffi the least: this is called for every
 * batch.
 */
export function wakeSend(fd: number): number {
  send ??= libc.func("int send(int, intptr_t, intptr_t, int)") as Wake;
  return send(fd, 0, 0, MSG_DONTWAIT) < 0 ? -lastErrno() : 0;
}

/** recv(2) of nothing: an AF_XDP socket's driver is told to look at its fill ring. 0 or the negative errno. */
export function wakeReceive(fd: number): number {
  recv ??= libc.func("int recv(int, intptr_t, intptr_t, int)") as Wake;
  return recv(fd, 0, 0, MSG_DONTWAIT) < 0 ? -lastErrno() : 0;
}

/** getsockopt(2) into `value`; returns the length, or the negative errno. */
export function getSocketOption(fd: number, level: number, name: number, value: NodeJS.TypedArray): number {
  const length = new Uint32Array([value.byteLength]);
  return getsockopt_(fd, level, name, value, length) < 0 ? -lastErrno() : (length[0] ?? 0);
}

/** Who is at the other end of a unix socket, as the kernel saw it at connect time. */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  const value = new Int32Array(3);
  const length = getSocketOption(fd, SOL_SOCKET, SO_PEERCRED, value);
  if (length < 0) throw syscallError("getsockopt SO_PEERCRED", -length);
  return { pid: value[0] ?? 0, uid: value[1] ?? -1, gid: value[2] ?? -1 };
}

/** sockaddr_un of an abstract name (unix(7)); its length is part of the name. */
export function abstractAddress(name: string): Buffer {
  const address = Buffer.alloc(2 + 1 + Buffer.byteLength(name));
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(name, 3);
  return address;
}
