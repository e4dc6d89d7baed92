// SPDX-License-Identifier: MIT
import { writeSync } from "node:fs";
import { Loop } from "../loop/index.js";
import { WATCHING } from "./guest-events.js";
import { LinkEvents } from "./link-events.js";

/** Tells of the links here, one JSON object a line, until its input ends: `lab events` runs it in each guest. */
export async function watchLinks(): Promise<void> {
  using loop = new Loop();
  using _events = new LinkEvents(loop, (event) => writeSync(1, `${JSON.stringify(event)}\n`));
  writeSync(1, `${WATCHING}\n`);
  await new Promise<void>((resolve) => {
    process.stdin.on("end", resolve).on("close", resolve).on("error", resolve).resume();
  });
}
