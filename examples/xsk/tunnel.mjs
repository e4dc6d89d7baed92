// SPDX-License-Identifier: MIT
// Carries an interface's frames whole in UDP datagrams; what comes back as datagrams leaves as frames. TCP is told to
// send segments that still fit.
//
//   node examples/xsk/tunnel.mjs eth0 192.0.2.1:4000 192.0.2.2:4000
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { clampMss, completeChecksum } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [name, local, remote] = process.argv.slice(2);
if (remote === undefined) {
  console.error("usage: node examples/xsk/tunnel.mjs INTERFACE LOCAL:PORT REMOTE:PORT");
  process.exit(2);
}

const end = (text) => ({ address: text.split(":")[0], port: Number(text.split(":")[1]) });
const udp = createSocket("udp4");
udp.bind(end(local));
await once(udp, "listening");
udp.connect(end(remote).port, end(remote).address);
await once(udp, "connect");
// The far end may not be there yet.
udp.on("error", () => {});

const umem = Umem.create();
const nic = XskSocket.open(umem, name);

udp.on("message", (datagram) => {
  if (datagram.length < 14 || datagram.length > umem.frameSize || nic.closed) return;
  nic.produce(1, (frame) => {
    frame.replace(datagram);
    frame.send();
  });
});

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
console.log(`${name} in UDP from ${local} to ${remote}`);

await nic.serve((frame) => {
  // 1500 less IPv4 20, UDP 8, Ethernet 14, and IPv4 20 and TCP 20 within.
  if (!clampMss(frame, 1418)) completeChecksum(frame.bytes, frame.start, frame.end);
  // A copy: the datagram may wait, the frame goes back to the kernel.
  udp.send(Buffer.from(frame.bytes.slice(frame.start, frame.end)), () => {});
});

console.log(`${nic.statistics.received} frames in, ${nic.statistics.sent} out`);
udp.close();
umem.close();
