// SPDX-License-Identifier: MIT
// Waits for the end of a capture that put a wrapper in the place of another's program, and puts that back unless it is told
// that it was done. Descriptor 3 is the program, 4 the wrapper; arguments: ifindex, mode, id of the bpf_link or 0.
import { BpfProgram } from "../../bpf/index.js";
import { isAttached, restoreProgram } from "../../xdp/index.js";
import { WrapperPins } from "./wrapper-pins.js";

const [ifindex, mode, linkId] = process.argv.slice(2);
const before = BpfProgram.fromFd(3);
const wrapper = BpfProgram.fromFd(4);
let done = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.stdin.on("data", () => {
  done = true;
});
process.stdin.on("close", () => {
  if (done) return;
  const place = {
    ifindex: Number(ifindex),
    mode: mode === "generic" ? ("generic" as const) : ("native" as const),
    linkId: Number(linkId) || undefined,
  };
  // Where the wrapper is still there, all that it needs stays, until the next capture puts the program back.
  if (restoreProgram(place, wrapper, before) || !isAttached(place.ifindex, wrapper))
    new WrapperPins(place.ifindex).remove();
});
process.stdout.write("ready\n");
