// SPDX-License-Identifier: MIT
//
// One flow for a time, for experiment.mjs: `node examples/mptcp/flow.mjs receive [PORT]`, and
// `node examples/mptcp/flow.mjs send HOST [PORT] [SECONDS]`, which prints what arrived, and what each path carried, as JSON.
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { connectMptcp, listenMptcp, mptcpConnections } from "xdpctl/netlink";

/** Between two looks at what the paths carried. */
const LOOK_MS = 250;

async function receive(port) {
  const { server } = await listenMptcp(
    { port },
    (socket) => {
      let bytes = 0;
      let first = 0;
      let last = 0;
      socket.on("data", (data) => {
        last = performance.now();
        if (bytes === 0) first = last;
        bytes += data.length;
      });
      socket.on("end", () => socket.end(JSON.stringify({ bytes, seconds: (last - first) / 1000 })));
      socket.on("error", (error) => console.error(`the connection broke: ${error.message}`));
    },
    { allowHalfOpen: true },
  );
  console.log(`listening on port ${port}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(() => process.exit()));
}

async function send(host, port, seconds) {
  const { socket, protocol } = await connectMptcp({ host, port });
  const answer = text(socket);
  const paths = new Map();
  const data = Buffer.alloc(64 * 1024);
  const end = performance.now() + seconds * 1000;
  let look = 0;
  while (performance.now() < end) {
    if (!socket.write(data)) await once(socket, "drain");
    if (performance.now() < look) continue;
    look = performance.now() + LOOK_MS;
    for (const { subflows } of mptcpConnections()) {
      for (const { source, destination, bytesAcked, retransmits } of subflows) {
        paths.set(`${source} ${destination}`, { from: source, to: destination, bytesAcked, retransmits });
      }
    }
  }
  socket.end();
  const arrived = JSON.parse(await answer);
  const mbits = (arrived.bytes * 8) / arrived.seconds / 1e6;
  console.log(JSON.stringify({ protocol, mbits: Number(mbits.toFixed(2)), ...arrived, paths: [...paths.values()] }));
}

const [role, ...rest] = process.argv.slice(2);
if (role === "receive") await receive(Number(rest[0] ?? 7000));
else await send(rest[0] ?? "server", Number(rest[1] ?? 7000), Number(rest[2] ?? 10));
