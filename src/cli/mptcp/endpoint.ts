// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { interfaceIndex, interfaceName } from "../../linux/index.js";
import type { MptcpEndpoint, MptcpFlag, MptcpSocket } from "../../netlink/index.js";
import { group, leaf, interfaceName as named, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount } from "../quantities.js";
import { withMptcp } from "./socket.js";
import { pathManager, sayPathManager } from "./sysctl.js";

interface Flags {
  signal?: boolean;
  subflow?: boolean;
  backup?: boolean;
  fullmesh?: boolean;
  laminar?: boolean;
}

const FLAG_NAMES = ["signal", "subflow", "backup", "fullmesh", "laminar"] as const;
const given = (options: Flags): MptcpFlag[] => FLAG_NAMES.filter((name) => options[name] === true);

function show(context: Context, endpoints: readonly MptcpEndpoint[]): void {
  const titles = ["ADDRESS", "PORT", "INTERFACE", "FLAGS"];
  const columns = [{ title: "ID", align: "right" as const }, ...titles.map((title) => ({ title }))];
  if (endpoints.length === 0) context.terminal.line("no endpoints");
  else {
    context.terminal.table(
      columns,
      endpoints.map((one) => [
        one.id,
        one.address,
        one.port || null,
        one.index === 0 ? null : (interfaceName(one.index) ?? one.index),
        one.flags.join(",") || null,
      ]),
    );
  }
  sayPathManager(context.terminal);
  context.terminal.json({ endpoints, pathManager: pathManager() });
}

/** The endpoint that is meant by its id or address. */
function find(socket: MptcpSocket, which: string): MptcpEndpoint {
  const all = socket.endpoints();
  const found = all.find((one) => String(one.id) === which || one.address === which);
  if (found !== undefined) return found;
  const hint = didYouMean(
    which,
    all.map((one) => one.address),
  );
  throw new XdpctlError("XDPCTL_E_NO_KEY", `there is no MPTCP endpoint ${JSON.stringify(which)}${hint}`, {
    remedy: "`xdpctl mptcp endpoint ls` lists them",
  });
}

const withFlags = (command: Command): Command =>
  command
    .option("--signal", "announce it to the peer, which may connect to it")
    .option("--subflow", "open a subflow from it (the default, without --signal and --laminar)")
    .option("--backup", "carry data only while nothing else does")
    .option("--fullmesh", "a subflow to each address of the peer")
    .option("--laminar", "use it for subflows to addresses that the peer announces (Linux 6.18)");

function registerAdd(endpoint: Command, context: Context): void {
  withFlags(
    leaf(endpoint, "add <address>", "let connections use an address beside that of their first subflow", [
      ["xdpctl mptcp endpoint add 10.0.2.1 --dev eth1", "a client: a second subflow, from eth1"],
      ["xdpctl mptcp endpoint add 10.0.2.2 --signal", "a server: clients are told of it"],
      ["xdpctl mptcp endpoint add 10.0.3.1 --dev wwan0 --backup", "only when all else fails"],
    ]),
  )
    .option("-d, --dev <interface>", "its subflows leave by this interface")
    .option("--id <number>", "1 to 255; the kernel chooses otherwise", (text) => parseCount("id", text, 1, 255))
    .option("--port <number>", "the port that is announced, with --signal", (text) =>
      parseCount("port", text, 1, 65535),
    )
    .action(async (address: string, options: Flags & { dev?: string; id?: number; port?: number }) => {
      const flags = given(options);
      if (!flags.includes("signal") && !flags.includes("laminar") && !flags.includes("subflow")) flags.push("subflow");
      const index = options.dev === undefined ? undefined : interfaceIndex(named(options.dev));
      if (options.dev !== undefined && index === undefined) {
        throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no interface ${options.dev} in this namespace`);
      }
      const endpoints = await withMptcp((socket) => {
        socket.addEndpoint({
          address,
          flags,
          ...(index === undefined ? {} : { index }),
          ...(options.id === undefined ? {} : { id: options.id }),
          ...(options.port === undefined ? {} : { port: options.port }),
        });
        return socket.endpoints().filter((one) => one.address === address);
      });
      show(context, endpoints);
    });
}

export function registerEndpoint(mptcp: Command, context: Context): void {
  const endpoint = group(mptcp, "endpoint", "the addresses that connections may use");
  leaf(endpoint, "ls", "the endpoints of this namespace", [["xdpctl mptcp endpoint ls", "ids, addresses, flags"]])
    .alias("list")
    .action(async () => show(context, await withMptcp((socket) => socket.endpoints())));
  registerAdd(endpoint, context);
  leaf(endpoint, "del <id>", "take an endpoint away; its subflows are closed", [
    ["xdpctl mptcp endpoint del 1", "by its id"],
    ["xdpctl mptcp endpoint del 10.0.2.1", "by its address"],
  ]).action(async (which: string) => {
    const gone = await withMptcp((socket) => {
      const found = find(socket, which);
      socket.deleteEndpoint(found.id);
      return found;
    });
    context.terminal.line(`endpoint ${gone.id}  ${gone.address}  deleted`);
    context.terminal.json({ deleted: [gone] });
  });
  leaf(endpoint, "flush", "take all endpoints away", [
    ["xdpctl mptcp endpoint flush", "their subflows are closed"],
  ]).action(async () => {
    const gone = await withMptcp((socket) => {
      const all = socket.endpoints();
      socket.flushEndpoints();
      return all;
    });
    context.terminal.line(`${gone.length} ${gone.length === 1 ? "endpoint" : "endpoints"} deleted`);
    context.terminal.json({ deleted: gone });
  });
  withFlags(
    leaf(endpoint, "flags <id>", "make an endpoint a backup or not, and its subflows with it", [
      ["xdpctl mptcp endpoint flags 1 --backup", "its subflows carry data only while nothing else does"],
      ["xdpctl mptcp endpoint flags 1", "not any more"],
    ]),
  ).action(async (which: string, options: Flags) => {
    const flags = given(options);
    const fixed = flags.find((flag) => flag !== "backup" && flag !== "fullmesh");
    if (fixed !== undefined) throw usage(`${fixed} can't be changed later`, "delete the endpoint, and add it anew");
    const endpoints = await withMptcp((socket) => {
      const { id } = find(socket, which);
      socket.setFlags(id, flags);
      return socket.endpoints().filter((one) => one.id === id);
    });
    show(context, endpoints);
  });
}
