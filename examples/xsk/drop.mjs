// SPDX-License-Identifier: MIT
// Receives frames and drops them: what reaches user space, each second.
//
//   node examples/xsk/drop.mjs veth1
import { Umem, XskSocket } from "xdpctl/xsk";

const [name] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: node examples/xsk/drop.mjs INTERFACE");
  process.exit(2);
}

const umem = Umem.create();
const nic = XskSocket.open(umem, name);

let packets = 0;
let bytes = 0;
const timer = setInterval(() => {
  console.log(`${packets} packets, ${bytes} bytes`);
  packets = 0;
  bytes = 0;
}, 1000);

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
console.log(`${name} (${nic.mode}, ${nic.copy}) drops everything`);

await nic.serve((frame) => {
  packets++;
  bytes += frame.length;
  frame.drop();
});

clearInterval(timer);
console.log(`${nic.statistics.received} packets dropped`);
umem.close();
