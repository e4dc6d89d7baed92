// SPDX-License-Identifier: MIT
// The worker of one queue: its own UMEM, its own socket, its own copy of the handler's module.
import { parentPort, workerData } from "node:worker_threads";
import { XdpctlError } from "../../errors/index.js";
import { keepOnCpus } from "../../linux/index.js";
import { XskSocket } from "../socket.js";
import { Umem } from "../umem.js";
import type { FromQueue, QueueModule, QueueStart, ToQueue } from "./messages.js";

const start = workerData as QueueStart;
const port = parentPort;
if (port === null) throw new Error("this is the worker of a queue: serveAll starts it");
const tell = (message: FromQueue): void => port.postMessage(message);

async function handlerOf(module: string): Promise<QueueModule> {
  let found: Partial<QueueModule>;
  try {
    found = (await import(module)) as Partial<QueueModule>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new XdpctlError("XDPCTL_E_USAGE", `the handler's module ${module} can't be loaded: ${why}`, { cause });
  }
  if (typeof found.default !== "function")
    throw new XdpctlError("XDPCTL_E_USAGE", `the module ${module} has no handler`, {
      remedy: "export default the function that is called for each frame",
    });
  return found as QueueModule;
}

/** What the module threw, and where. */
function thrown(error: unknown): XdpctlError {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const place = error instanceof Error ? /^ +at (.*)$/m.exec(error.stack ?? "")?.[1] : undefined;
  const where = place === undefined ? "" : `, at ${place}`;
  return new XdpctlError("XDPCTL_E_HANDLER", `queue ${start.queue}, ${start.module}: ${text}${where}`, {
    cause: error,
  });
}

let umem: Umem | undefined;
let socket: XskSocket | undefined;
let failure: XdpctlError | undefined;
let asked = false;
port.on("message", (message: ToQueue) => {
  if (message === "stop") {
    asked = true;
    socket?.stop();
  } else if (socket !== undefined) tell({ kind: "statistics", statistics: socket.statistics });
});
// However the thread ends, by process.exit or by an error that nobody caught: its descriptors are the process's, and would stay.
process.once("exit", () => {
  const busy = socket?.engine.busy === true;
  umem?.close();
  // Its batch is not gone on with.
  if (busy) socket?.engine.unmap();
});
try {
  keepOnCpus([start.cpu]);
  const module = await handlerOf(start.module);
  umem = Umem.create(start.umem);
  socket = XskSocket.open(umem, start.interface, { ...start.socket, queue: start.queue, redirect: false });
  await module.start?.({ socket, data: start.data });
  tell({ kind: "open", fd: socket.fd, copy: socket.copy });
  if (!asked) await socket.serve(module.default, { wait: "poll", ...start.serve });
} catch (error) {
  failure = XdpctlError.is(error) ? error : thrown(error);
}
const statistics = socket?.statistics;
umem?.close();
tell({ kind: "ended", error: failure?.toJSON(), statistics });
port.close();
