// SPDX-License-Identifier: MIT
// What arrives, each second: node examples/xsk/throughput.mjs veth1 9000 [SECONDS]
// For what sends, see send.mjs:  node examples/xsk/send.mjs veth0 10.0.0.5 9000 1e6 5e6
import { readPerf } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [name = "veth1", port = "9000", seconds = "10"] = process.argv.slice(2);
const umem = Umem.create();
const nic = XskSocket.open(umem, name, { filter: { protocol: "udp", port: Number(port) } });
const header = { number: 0, operation: 0 };
let packets = 0;
let bytes = 0;
let second = 0;
const timer = setInterval(() => {
  console.log(`${++second}s: ${packets} pps ${bytes * 8} bps`);
  packets = 0;
  bytes = 0;
  if (second === Number(seconds)) nic.stop();
}, 1000);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
await nic.serve(
  (frame) => {
    if (!readPerf(frame, Number(port), header)) return;
    packets++;
    bytes += frame.length;
  },
  { wait: "poll" },
);
clearInterval(timer);
umem.close();
