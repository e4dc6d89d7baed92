// SPDX-License-Identifier: MIT
import type { Ending } from "../../lab/index.js";
import type { openRoom } from "./select.js";

type Room = Awaited<ReturnType<typeof openRoom>>;

/** Ends as a command did for which this process stood. */
export function end(ending: Ending): void {
  if ("code" in ending) process.exitCode = ending.code;
  else process.kill(process.pid, ending.signal);
}

/** Runs this very command line where the lab is, if that is a guest. Returns whether it was. */
export async function ranInGuest(room: Room, name: string): Promise<boolean> {
  const lab = room.GuestLab.find(name);
  if (lab === undefined) return false;
  end(await lab.xdpctl(...process.argv.slice(2)));
  return true;
}
