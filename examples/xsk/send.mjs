// SPDX-License-Identifier: MIT
// Sends numbered UDP frames at a rate: node examples/xsk/send.mjs veth0 10.0.0.5 9000 [RATE [COUNT]]
import { PERF, UdpTemplate } from "xdpctl/packet";
import { findPath, sendPaced, Umem, XskSocket } from "xdpctl/xsk";

const [name = "veth0", address = "10.0.0.5", port = "9000", rate = "1000", count = "1000"] = process.argv.slice(2);

const path = await findPath(name, address);
const template = new UdpTemplate({ ...path, sport: 10_000, dport: Number(port) }, 64);
const umem = Umem.create();
// Nothing is redirected: it only sends.
const nic = XskSocket.open(umem, name, { redirect: false });

let number = 0;
const result = await sendPaced(
  nic,
  (frame) => {
    template.write(frame.bytes, frame.start, number++, PERF.PING);
    frame.growTail(template.length);
    frame.send();
  },
  { rate: Number(rate), count: Number(count) },
);
console.log(`sent ${result.sent} in ${result.seconds.toFixed(3)} s: ${Math.round(result.rate)}/s`);
umem.close();
