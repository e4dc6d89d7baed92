// SPDX-License-Identifier: MIT
// What `xsk drop` and `xsk echo` do with the frames of one queue, in the worker of that queue.
import { EchoHost } from "../../packet/index.js";
import type { Frame, FrameHandler, QueueContext, XskSocket } from "../../xsk/index.js";
import { interfaceFacts } from "./interface.js";
import { answeredBy, type QueueWork, reflect } from "./queue-work.js";

let handler: FrameHandler = (frame) => frame.drop();
// Its value as of the first frame, after `start`.
export { handler as default };

export function start({ socket, data }: QueueContext): void {
  const work = data as QueueWork;
  const answered = new Float64Array(work.answered);
  if (work.kind === "reflect") handler = reflect;
  else if (work.kind === "echo") {
    const { mac } = interfaceFacts(socket.ifindex);
    const { queue } = socket;
    handler = answeredBy(new EchoHost({ mac, addresses: work.addresses }), () => {
      answered[queue] = (answered[queue] as number) + 1;
    });
  }
  if (work.left !== undefined) handler = limited(handler, new Int32Array(work.left), socket);
}

/** No more than so many packets, of all queues together. */
function limited(all: FrameHandler, left: Int32Array, socket: XskSocket): FrameHandler {
  return (frame: Frame) => {
    if (Atomics.load(left, 0) > 0 && Atomics.sub(left, 0, 1) > 0) all(frame);
    else socket.stop();
  };
}
