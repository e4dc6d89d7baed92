// SPDX-License-Identifier: MIT
// A wire between two interfaces: what comes in by one leaves by the other, and no byte is copied on the way.
//
//   node examples/xsk/forward.mjs veth0 veth2
import { completeChecksum } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [left, right] = process.argv.slice(2);
if (right === undefined) {
  console.error("usage: node examples/xsk/forward.mjs INTERFACE INTERFACE");
  process.exit(2);
}

// Both sockets on one UMEM: a frame changes hands, it doesn't move. Each fill ring takes 2048 frames.
const umem = Umem.create({ frameCount: 8192 });
const a = XskSocket.open(umem, left);
const b = XskSocket.open(umem, right);

const to = (other) => (frame) => {
  // The other end of a veth leaves checksums to its device, and nobody after us would complete them.
  completeChecksum(frame.bytes, frame.start, frame.end);
  frame.forward(other);
};

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
console.log(`${left} <-> ${right}`);

await Promise.all([a.serve(to(b), { signal: stop.signal }), b.serve(to(a), { signal: stop.signal })]);

console.log(`Processed ${a.statistics.forwarded}, ${b.statistics.forwarded} packets`);
umem.close();
