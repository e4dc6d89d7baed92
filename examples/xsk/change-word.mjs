// SPDX-License-Identifier: MIT
// Forwards between two interfaces, and replaces a word in UDP datagrams: lengths and checksums follow.
//
//   node examples/xsk/change-word.mjs veth0 veth2 apple watermelon
import { completeChecksum, WordChange } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [left, right, from, to] = process.argv.slice(2);
if (to === undefined) {
  console.error("usage: node examples/xsk/change-word.mjs INTERFACE INTERFACE FROM TO");
  process.exit(2);
}

const umem = Umem.create({ frameCount: 8192 });
const a = XskSocket.open(umem, left);
const b = XskSocket.open(umem, right);
const change = new WordChange({ from, to });
let words = 0;

const towards = (other) => (frame) => {
  const changed = change.apply(frame);
  if (changed > 0) words += changed;
  else completeChecksum(frame.bytes, frame.start, frame.end);
  frame.forward(other);
};

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
console.log(`${left} <-> ${right}, ${JSON.stringify(to)} for ${JSON.stringify(from)}`);

await Promise.all([a.serve(towards(b), { signal: stop.signal }), b.serve(towards(a), { signal: stop.signal })]);

console.log(`${words} words changed`);
umem.close();
