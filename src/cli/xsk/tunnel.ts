// SPDX-License-Identifier: MIT
import { isIP } from "node:net";
import type { Command } from "commander";
import type { Loop } from "../../loop/index.js";
import type { Frame, XskSocket } from "../../xsk/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type ServeArguments, serveOptions } from "./options.js";
import type { Work } from "./run.js";

interface End {
  readonly address: string;
  readonly port: number;
}

interface TunnelArguments extends ServeArguments {
  local: End;
  remote: End;
  mss: number;
}

/** 1500 less IPv4 20, UDP 8 and Ethernet 14 around, IPv4 20 and TCP 20 within. */
const MSS = 1418;
const ETHERNET = 14;
const BATCH = 64;

export function registerTunnel(xsk: Command, context: Context): void {
  const command = leaf(xsk, "tunnel", "carry an interface's frames in UDP datagrams, both ways; ends with Ctrl-C", [
    [
      "xdpctl xsk tunnel eth0 --local 192.0.2.1:4000 --remote 192.0.2.2:4000",
      "one end; the other names them turned around",
    ],
    ["xdpctl xsk tunnel eth0 --local [2001:db8::1]:4000 --remote [2001:db8::2]:4000 --mss 1378", "over IPv6"],
  ])
    .argument("<interface>", "whose frames", parser(interfaceName))
    .requiredOption("--local <address:port>", "where datagrams come in", parser(parseEnd))
    .requiredOption("--remote <address:port>", "where they go", parser(parseEnd))
    .option("--mss <bytes>", "lower what TCP offers as its segment size to this", parseMss, MSS);
  serveOptions(command).action(async (name: string, given: TunnelArguments) => {
    const { serveInterfaces } = await import("./run.js");
    const loop = await context.loop();
    await serveInterfaces(context, [name], given, ([nic]) => tunnel(nic as XskSocket, loop, given));
  });
}

const parseMss = (text: string): number => parseCount("segment size", text, 88, 65_495);

/** `192.0.2.1:4000` or `[2001:db8::1]:4000`. */
function parseEnd(text: string): End {
  const [, six, four, port = ""] = /^(?:\[([^\]]+)\]|([^:]+)):([^:]+)$/.exec(text) ?? [];
  const address = six ?? four ?? "";
  if (isIP(address) !== (six === undefined ? 4 : 6))
    throw usage(`${JSON.stringify(text)} is no address with a port`, "write 192.0.2.1:4000 or [2001:db8::1]:4000");
  return { address, port: parsePort(port) };
}

async function tunnel(nic: XskSocket, loop: Loop, { local, remote, mss }: TunnelArguments): Promise<Work> {
  const { clampMss, completeChecksum } = await import("../../packet/index.js");
  const { DatagramSocket } = await import("../../linux/index.js");
  const udp = new DatagramSocket(nic.umem.bytes, local, remote);
  const counts = { tunnelled: 0, lost: 0, emerged: 0, malformed: 0 };
  // What the other end of a veth left to its device, nobody would complete behind the tunnel.
  const handler = (frame: Frame): void => {
    if (!clampMss(frame, mss)) completeChecksum(frame.bytes, frame.start, frame.end);
    if (udp.sendFrom(frame.start, frame.end) < 0) counts.lost++;
    else counts.tunnelled++;
  };
  /** The next datagram that can be a frame, received where it is sent from. */
  const emerge = (frame: Frame): void => {
    for (;;) {
      const length = udp.receiveInto(frame.start, frame.limit);
      if (length < 0) return;
      if (length >= ETHERNET && length <= frame.limit - frame.start) {
        frame.growTail(length);
        counts.emerged++;
        frame.send();
        return;
      }
      counts.malformed++;
    }
  };
  const watched = loop.watch(udp.fd, (_, budget) => {
    if (nic.closed) return;
    for (let left = budget; left > 0; left -= BATCH) if (nic.produce(BATCH, emerge) < BATCH) return;
  });
  const close = (): void => {
    watched.close();
    udp.close();
  };
  return { sides: [{ handler, counts }], close };
}
