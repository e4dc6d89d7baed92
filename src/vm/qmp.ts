// SPDX-License-Identifier: MIT
import { connect } from "node:net";
import { createInterface } from "node:readline";

const ANSWER_MS = 2000;
/** Where a machine stands still because somebody wants it so: a debugger, the monitor, a script on QMP. */
const HELD = ["debug", "paused", "prelaunch", "save-vm", "restore-vm", "inmigrate", "postmigrate"];

/** Whether QEMU holds the machine, asked at its QMP socket. False where QEMU itself gives no answer. */
export function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (held: boolean): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(held);
    };
    const late = setTimeout(() => done(false), ANSWER_MS);
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.write('{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n');
    const lines = createInterface({ input: socket });
    // It passes on what the socket has said already.
    lines.on("error", () => undefined);
    lines.on("line", (line) => {
      const status = statusIn(line);
      if (status !== undefined) done(HELD.includes(status));
    });
  });
}

/**
 * Takes the cable out of a NIC, or puts it in again; `id` is that of its network. What QEMU answers is not waited for long: a
 * guest that ends meanwhile has no carrier to lose.
 */
export function setLink(path: string, id: string, up: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (): void => {
      clearTimeout(late);
      socket.destroy();
      resolve();
    };
    const late = setTimeout(done, ANSWER_MS);
    socket.on("error", done);
    socket.on("close", done);
    const set = { execute: "set_link", arguments: { name: id, up }, id };
    socket.write(`{"execute":"qmp_capabilities"}\n${JSON.stringify(set)}\n`);
    const lines = createInterface({ input: socket });
    lines.on("error", () => undefined);
    lines.on("line", (line) => {
      if (answers(line, id)) done();
    });
  });
}

function answers(line: string, id: string): boolean {
  try {
    return (JSON.parse(line) as { id?: string }).id === id;
  } catch {
    return false;
  }
}

function statusIn(line: string): string | undefined {
  try {
    const { return: answer } = JSON.parse(line) as { return?: { status?: string } };
    return answer?.status;
  } catch {
    return undefined;
  }
}
