// SPDX-License-Identifier: MIT
import { errno, lastErrno, syscallError } from "./errno.js";
import { addressOf, lazy, libc } from "./ffi.js";
import { AF_INET, SOCK_DGRAM, Socket } from "./socket.js";

const SIOCETHTOOL = 0x8946n;
/** linux/ethtool.h */
const ETHTOOL_GCHANNELS = 0x3c;
/** struct ethtool_channels: the command, four maxima, then the counts in the same order. */
const WORDS = 9;
const RX_COUNT = 5;
const COMBINED_COUNT = 8;
const IFREQ = 40;
const NAME = 16;

const ioctl_ = lazy<(fd: number, request: bigint, value: Uint8Array) => number>(
  libc,
  "int ioctl(int, unsigned long, void *)",
);

/**
 * How many receive queues an interface of the calling thread's namespace uses (ETHTOOL_GCHANNELS); 1 where its driver does
 * not say.
 */
export function receiveQueues(name: string): number {
  const channels = new Uint32Array(WORDS);
  channels[0] = ETHTOOL_GCHANNELS;
  const request = Buffer.alloc(IFREQ);
  request.write(name, 0, NAME - 1, "latin1");
  request.writeBigUInt64LE(addressOf(channels), NAME);
  const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
  try {
    if (ioctl_(socket.fd, SIOCETHTOOL, request) < 0) {
      const number = lastErrno();
      if (number === errno.EOPNOTSUPP) return 1;
      throw syscallError(`asking for the queues of ${name}`, number);
    }
  } finally {
    socket.close();
  }
  return Math.max(1, (channels[RX_COUNT] as number) + (channels[COMBINED_COUNT] as number));
}
