// SPDX-License-Identifier: MIT
import { isatty } from "node:tty";
import type { Output } from "../loop/index.js";
import type { Live } from "./context.js";

/** Where a command that goes on writes, on an output that is standard output: frames are drawn on a terminal alone. */
export function liveOn(output: Output, json: boolean, how: Pick<Live, "write" | "drained" | "close">): Live {
  const screen = isatty(1) && !json;
  return {
    ...how,
    screen,
    get rows() {
      return screen ? process.stdout.rows : undefined;
    },
    get columns() {
      return screen ? process.stdout.columns : undefined;
    },
    get queued() {
      return output.queued;
    },
    frame: (text) => output.redraw(text),
  };
}
