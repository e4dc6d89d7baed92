// SPDX-License-Identifier: MIT
//
// Sends over all interfaces of this machine, and says what each carried: `node examples/mptcp/two-nics.mjs HOST [PORT]
// [MEGABYTES]`. The server is beside it. One process sets MPTCP up and uses it: a guest that is emulated starts few of them.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { text } from "node:stream/consumers";
import { connectMptcp, MptcpSocket, mptcpConnections, openRoute } from "xdpctl/netlink";

const [host = "server", port = "7000", megabytes = "4"] = process.argv.slice(2);
const own = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
  list.filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => ({ name, address })),
);
console.log(own.map(({ name, address }) => `${name} ${address}`).join(", "));

const manager = new MptcpSocket();
const route = openRoute();
manager.setLimits({ subflows: Math.min(own.length, 8) });
// The connection itself leaves by the first one, where the default route goes.
for (const { name, address } of own.slice(1)) {
  manager.addEndpoint({ address, index: route.link(name)?.index, flags: ["subflow"] });
}
route.close();
manager.close();

const { socket, protocol, reason } = await connectMptcp({ host, port: Number(port) });
if (reason !== undefined) console.log(`plain TCP: ${reason}`);
const answer = text(socket);
const carried = new Map();
const data = randomBytes(64 * 1024);
for (let left = Number(megabytes) * 2 ** 20; left > 0; left -= data.length) {
  if (!socket.write(data)) await once(socket, "drain");
  for (const { subflows } of mptcpConnections()) {
    for (const { source, bytesAcked } of subflows) carried.set(source, bytesAcked);
  }
}
socket.end();
await answer;
for (const [source, bytes] of carried) console.log(`${source}  ${(bytes / 2 ** 20).toFixed(1)} MB`);
console.log(`${protocol}: ${carried.size} paths`);
