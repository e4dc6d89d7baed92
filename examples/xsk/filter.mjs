// SPDX-License-Identifier: MIT
// Forwards between two interfaces, but cuts TCP connections that say a word: a RST to both ends, and the segment
// goes nowhere.
//
//   node examples/xsk/filter.mjs veth0 veth2 pineapple 80
import { completeChecksum, resetReceiver, resetSender, TcpWordFilter } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [left, right, word, port = "80"] = process.argv.slice(2);
if (word === undefined) {
  console.error("usage: node examples/xsk/filter.mjs INTERFACE INTERFACE WORD [PORT]");
  process.exit(2);
}

const umem = Umem.create({ frameCount: 8192 });
const a = XskSocket.open(umem, left);
const b = XskSocket.open(umem, right);
const filter = new TcpWordFilter({ port: Number(port), word });
let cut = 0;
let unsent = 0;

const between = (from, to) => {
  let segment;
  let possible = true;
  const toSender = (out) => {
    possible = resetSender(segment, out);
    if (possible) out.send();
  };
  return (frame) => {
    completeChecksum(frame.bytes, frame.start, frame.end);
    if (!filter.matches(frame)) {
      frame.forward(to);
      return;
    }
    cut++;
    // The sender's RST takes a free frame; the segment itself becomes that of the receiver.
    segment = frame;
    possible = true;
    if (from.produce(1, toSender) === 0 && possible) unsent++;
    if (resetReceiver(frame, frame)) frame.forward(to);
  };
};

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
console.log(`${left} <-> ${right}, without ${JSON.stringify(word)} on TCP port ${port}`);

await Promise.all([a.serve(between(a, b), { signal: stop.signal }), b.serve(between(b, a), { signal: stop.signal })]);

console.log(`${cut} segments cut`);
if (unsent > 0) console.log(`${unsent} senders got no RST: there was no room`);
umem.close();
