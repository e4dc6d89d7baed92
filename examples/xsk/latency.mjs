// SPDX-License-Identifier: MIT
// Round trips of UDP frames. One side:  node examples/xsk/latency.mjs veth1 9000
//                            the other: node examples/xsk/latency.mjs veth0 9000 10.0.0.5 [COUNT]
import { answerPing, PERF, readPerf, UdpTemplate } from "xdpctl/packet";
import { findPath, Umem, XskSocket } from "xdpctl/xsk";

const [name = "veth1", port = "9000", address, count = "1000"] = process.argv.slice(2);
const dport = Number(port);
const sport = dport + 1;
const umem = Umem.create();

if (address === undefined) {
  const nic = XskSocket.open(umem, name, { filter: { protocol: "udp", port: dport } });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
  await nic.serve(
    (frame) => {
      if (answerPing(frame, dport) !== undefined) frame.send();
    },
    { wait: "poll" },
  );
  umem.close();
} else {
  const path = await findPath(name, address);
  const template = new UdpTemplate({ ...path, sport, dport }, 64);
  const nic = XskSocket.open(umem, name, { filter: { protocol: "udp", port: sport } });
  const took = new Float64Array(Number(count));
  const header = { number: 0, operation: 0 };
  let number = 0;
  let answered = 0;
  let silent = 0;
  let left = 0;
  const ping = () => {
    if (number === took.length) return nic.stop();
    left = performance.now();
    nic.produce(1, (frame) => {
      template.write(frame.bytes, frame.start, number, PERF.PING);
      frame.growTail(template.length);
      frame.send();
    });
  };
  // A Ping that is not answered within a second is lost: the next one goes. After five nobody is there.
  const patience = setInterval(() => {
    if (performance.now() - left < 1000) return;
    number++;
    if (++silent === 5) nic.stop();
    else ping();
  }, 100);
  ping();
  await nic.serve(
    (frame) => {
      if (!readPerf(frame, sport, header) || header.operation !== PERF.PONG || header.number !== number) return;
      took[answered++] = performance.now() - left;
      number++;
      silent = 0;
      ping();
    },
    { wait: "poll" },
  );
  clearInterval(patience);
  umem.close();
  const sorted = took.subarray(0, answered).sort();
  const micro = (share) => `${(1000 * (sorted[Math.floor((answered - 1) * share)] ?? 0)).toFixed(1)} µs`;
  console.log(`${answered} of ${took.length}: min ${micro(0)}  p50 ${micro(0.5)}  p99 ${micro(0.99)}  max ${micro(1)}`);
}
