// SPDX-License-Identifier: MIT
/** The numbers of rootfs/agent/protocol.h, and frames as bytes. */

export const PROTOCOL_VERSION = 1;
export const PORT_NAME = "xdpctl.agent";
/** Bytes that follow a frame's header, at most. */
export const FRAME_MAX = 64 * 1024;
/** Bytes of one stream that may be on their way before its reader grants more. */
export const WINDOW = 256 * 1024;
const HEADER = 12;

export const HOST = {
  op: 1,
  exec: 2,
  data: 3,
  eof: 4,
  credit: 5,
  signal: 6,
  windowSize: 7,
  ack: 8,
  powerOff: 9,
  ping: 10,
  close: 11,
} as const;

export const GUEST = { hello: 64, done: 65, data: 66, credit: 67, exit: 68, pong: 69, kmsg: 70 } as const;

export const EXIT_KIND = { status: 0, signal: 1, failed: 2 } as const;

export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly id: number;
  readonly data: Buffer;
}

/** One frame: length, id, type, stream (little-endian), then the data. */
export function encodeFrame(type: number, id: number, data: Uint8Array = EMPTY, stream = 0): Buffer {
  const frame = Buffer.allocUnsafe(HEADER + data.length);
  frame.writeUInt32LE(data.length, 0);
  frame.writeUInt32LE(id, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(stream, 9);
  frame.writeUInt16LE(0, 10);
  frame.set(data, HEADER);
  return frame;
}

const EMPTY = new Uint8Array(0);

export function encodeU32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value >>> 0, 0);
  return bytes;
}

/** Strings that each end with a NUL; a string with a NUL in it can't be sent. */
export function encodeList(strings: readonly string[]): Buffer {
  return Buffer.from(strings.map((text) => `${text.replaceAll("\0", "")}\0`).join(""));
}

export function decodeList(data: Buffer): string[] {
  const strings = data.toString("utf8").split("\0");
  strings.pop();
  return strings;
}

/** Cuts a stream of bytes into frames. Their data lies in the bytes that came: who keeps it copies it. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are whole now. Throws RangeError for a length that no frame has. */
  *push(bytes: Buffer): Generator<Frame> {
    let buffer = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = Buffer.alloc(0);
    while (buffer.length >= HEADER) {
      const length = buffer.readUInt32LE(0);
      if (length > FRAME_MAX) throw new RangeError(`a frame of ${length} bytes`);
      if (buffer.length < HEADER + length) break;
      const frame = {
        id: buffer.readUInt32LE(4),
        type: buffer.readUInt8(8),
        stream: buffer.readUInt8(9),
        data: buffer.subarray(HEADER, HEADER + length),
      };
      buffer = buffer.subarray(HEADER + length);
      yield frame;
    }
    this.#rest = buffer;
  }
}
