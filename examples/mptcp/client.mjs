// SPDX-License-Identifier: MIT
//
// Sends over MPTCP, and compares checksums: `node examples/mptcp/client.mjs HOST [PORT] [MEGABYTES]`.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { connectMptcp, mptcpConnections } from "xdpctl/netlink";

const [host = "server", port = "7000", megabytes = "4"] = process.argv.slice(2);
const { socket, protocol, reason } = await connectMptcp({ host, port: Number(port) }).catch((error) => {
  console.error(`error: ${error.message}`);
  process.exit(1);
});
if (reason !== undefined) console.log(`plain TCP: ${reason}`);
const answer = text(socket);
const hash = createHash("sha256");
const chunk = 64 * 1024;
let most = 0;
for (let left = Number(megabytes) * 2 ** 20; left > 0; left -= chunk) {
  const data = randomBytes(Math.min(chunk, left));
  hash.update(data);
  if (!socket.write(data)) await once(socket, "drain");
  for (const one of mptcpConnections()) most = Math.max(most, one.subflows.length);
}
socket.end();
const same = (await answer) === hash.digest("hex");
console.log(`${protocol}, at most ${most} subflows: ${same ? "every byte arrived" : "the checksums differ"}`);
process.exitCode = same ? 0 : 1;
