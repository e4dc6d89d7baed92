// SPDX-License-Identifier: MIT
//
// Receives over MPTCP, and says what came: `node examples/mptcp/server.mjs [PORT]`. The client is beside it.
import { createHash } from "node:crypto";
import { isMptcp, listenMptcp } from "xdpctl/netlink";

const { server, port, protocol, reason } = await listenMptcp(
  { port: Number(process.argv[2] ?? 7000) },
  (socket) => {
    const hash = createHash("sha256");
    let bytes = 0;
    let start;
    socket.on("data", (data) => {
      start ??= performance.now();
      bytes += data.length;
      hash.update(data);
    });
    socket.on("end", () => {
      const rate = ((bytes * 8) / (performance.now() - start) / 1000).toFixed(1);
      const digest = hash.digest("hex");
      console.log(`${isMptcp(socket) ? "mptcp" : "tcp"}: ${bytes} bytes, ${rate} Mbit/s, sha256 ${digest}`);
      socket.end(digest);
    });
    socket.on("error", (error) => console.log(`the connection broke: ${error.message}`));
  },
  { allowHalfOpen: true },
);
console.log(`listening on port ${port} (${reason === undefined ? protocol : `tcp: ${reason}`})`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(() => process.exit()));
