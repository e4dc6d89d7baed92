// SPDX-License-Identifier: MIT
import type { Loop } from "../loop/index.js";
import {
  type GenericFamily,
  type GenericMessage,
  GenericMonitor,
  type GenericMonitorHandler,
  GenericSocket,
  type Part,
} from "../netlink/index.js";

/** Where families are, and messages come from: the kernel. Unit tests have families that come and go. */
export interface GenericSource extends Disposable {
  find(name: string): GenericFamily | undefined;
  families(): GenericFamily[];
  request(family: GenericFamily, command: number, body: Part): GenericMessage[];
  dump(
    family: GenericFamily,
    command: number,
    body: Part,
    handler: (message: GenericMessage) => void,
    restart: () => void,
  ): void;
  /** Hears one group, until it is closed. */
  monitor(family: GenericFamily, group: string, handler: GenericMonitorHandler): Disposable;
}

/** Generic netlink of the calling thread's network namespace; its socket is opened at the first use. */
export function kernelSource(loop: Loop): GenericSource {
  let socket: GenericSocket | undefined;
  const open = (): GenericSocket => {
    socket ??= new GenericSocket();
    return socket;
  };
  return {
    find: (name) => open().find(name),
    families: () => open().families(),
    request: (family, command, body) => open().request(family, command, body),
    dump: (family, command, body, handler, restart) => open().dump(family, command, body, handler, restart),
    monitor: (family, group, handler) => new GenericMonitor(loop, family, [group], handler),
    [Symbol.dispose]: () => socket?.close(),
  };
}
