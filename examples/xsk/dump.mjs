// SPDX-License-Identifier: MIT
// Takes frames and shows them: node examples/xsk/dump.mjs veth1 [FILE.pcapng]
import { closeSync, openSync, writeSync } from "node:fs";
import { describeFrame, pcapngInterface, pcapngPacket, pcapngSection } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [name = "veth1", path] = process.argv.slice(2);
const umem = Umem.create();
const nic = XskSocket.open(umem, name);
const file = path === undefined ? undefined : openSync(path, "w");
if (file !== undefined) {
  writeSync(file, pcapngSection({ application: "dump.mjs" }));
  writeSync(file, pcapngInterface({ name }));
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
await nic.serve((frame) => {
  const data = frame.bytes.subarray(frame.start, frame.end);
  if (file === undefined) console.log(describeFrame(data));
  else {
    const time = BigInt(Date.now()) * 1_000_000n;
    writeSync(file, pcapngPacket({ time, direction: "in", queue: nic.queue, verdict: "redirect", data }));
  }
});
if (file !== undefined) closeSync(file);
umem.close();
