// SPDX-License-Identifier: MIT
// A host in user space: answers ARP, ping, ping -6 and UDP port 7 for the addresses of an interface.
//
//   node examples/xsk/echo.mjs veth1
import { openRoute } from "xdpctl/netlink";
import { EchoHost } from "xdpctl/packet";
import { Umem, XskSocket } from "xdpctl/xsk";

const [name] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: node examples/xsk/echo.mjs INTERFACE");
  process.exit(2);
}

const umem = Umem.create();
const nic = XskSocket.open(umem, name);

const route = openRoute();
const mac = route.link(nic.ifindex).address;
const addresses = route
  .addresses()
  .filter(({ index }) => index === nic.ifindex)
  .map(({ address }) => address);
route.close();

const host = new EchoHost({ mac, addresses });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => nic.stop());
console.log(`${name} (${nic.mode}, ${nic.copy}) answers for ${addresses.join(", ")}`);

let answered = 0;
await nic.serve((frame) => {
  // The frame becomes its answer where it lies; false for all that is not to be answered.
  if (!host.answer(frame)) return;
  answered++;
  frame.send();
});

console.log(`${answered} of ${nic.statistics.received} frames answered`);
umem.close();
