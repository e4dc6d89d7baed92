// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { errno, MS_BIND } from "../../../linux/index.js";
import { AGENT_IN_GUEST, type Guest } from "../../../vm/index.js";
import { clientArguments, serverCommand } from "../../dhcp.js";
import type { NodeSpec } from "../../spec.js";
import { STANDARD_PATH } from "../host-files.js";
import type { GuestPlan } from "./files.js";
import { ipBatch, nftRules, nicNames, settings } from "./setup.js";

const HOSTS = "/run/xdpctl/hosts";

/** The names of the lab's machines, as they are now. */
export async function writeGuestHosts(guest: Guest, plan: GuestPlan): Promise<void> {
  await guest.machine.agent.operation("write", HOSTS, readFileSync(plan.hosts, "utf8"));
}

/** Makes a guest that has booted what the lab's file says. Errors: XDPCTL_E_VM_SETUP, XDPCTL_E_VM_DIED. */
export async function configureGuest(guest: Guest, plan: GuestPlan): Promise<void> {
  const { agent } = guest.machine;
  const { node, nics } = plan;
  const written = writeGuestHosts(guest, plan);
  const files = Object.entries(plan.files).flatMap(([path, { text, mode }]) => [
    ["mkdir", dirname(path)],
    ["write", path, text],
    ["chmod", mode, path],
  ]);
  const prepared = agent.operations([["mount", HOSTS, "/etc/hosts", "", String(MS_BIND), ""], ...files]);
  const v6 = await has(guest, "net/ipv6/conf/default/accept_ra", "0");
  const names = nicNames(nics, await run(guest, ["ip", "-j", "link"]));
  const missing = nics.find(({ name }) => !names.has(name));
  if (missing !== undefined) {
    throw new XdpctlError("XDPCTL_E_VM_SETUP", `the guest's kernel has no driver for its NIC ${missing.name}`, {
      remedy: "the kernel needs virtio_net, built in or as a module",
    });
  }
  await agent.operations(settings(node, names, v6).map(write));
  await run(guest, ["ip", "-batch", "-"], ipBatch(node, names, v6));
  const rules = nftRules(node);
  if (rules !== "") await run(guest, ["nft", "-f", "-"], rules);
  await dhcp(guest, node);
  const own = Object.entries(node.sysctls).map(([name, value]) =>
    write([name.includes("/") ? name : name.replaceAll(".", "/"), value]),
  );
  await Promise.all([written, prepared, agent.operations(own)]);
}

/** Serves DHCP as long as the guest lives, and asks for what it is to get that way. */
async function dhcp(guest: Guest, node: NodeSpec): Promise<void> {
  if (node.dhcpServers !== undefined) {
    const server = guest.exec({ argv: serverCommand(node.dhcpServers), env: { PATH: STANDARD_PATH } });
    server.stdin.end();
    for (const stream of [server.stdout, server.stderr]) stream.resume();
    server.exit.catch(() => undefined);
  }
  for (const { name } of node.interfaces.filter((one) => one.dhcp === true)) {
    await run(guest, [AGENT_IN_GUEST, ...clientArguments(name, node.name)]);
  }
}

const write = ([path, value]: readonly [string, string]): string[] => ["write", `/proc/sys/${path}`, value];

/** Writes a setting; false where the guest's kernel lacks it. */
async function has(guest: Guest, path: string, value: string): Promise<boolean> {
  try {
    await guest.machine.agent.operations([write([path, value])]);
    return true;
  } catch (error) {
    if (XdpctlError.is(error) && error.errno === errno.ENOENT) return false;
    throw error;
  }
}

/** Runs a command of the host's in the guest, to its end. Returns its output. Errors: XDPCTL_E_VM_SETUP. */
async function run(guest: Guest, argv: readonly [string, ...string[]], input = ""): Promise<string> {
  const command = guest.exec({ argv, env: { PATH: STANDARD_PATH } });
  const texts = ["", ""];
  for (const [i, stream] of [command.stdout, command.stderr].entries()) {
    stream.on("data", (bytes: Buffer) => {
      texts[i] += bytes.toString();
    });
  }
  command.stdin.end(input);
  const exit = await command.exit;
  if (exit.kind === "status" && exit.status === 0) return texts[0] ?? "";
  const why = exit.kind === "failed" ? "it is not installed on this machine" : (texts[1] ?? "").trim();
  throw new XdpctlError("XDPCTL_E_VM_SETUP", `in the guest, \`${argv.join(" ")}\` failed: ${why}`, {
    lines: input === "" ? [] : input.trimEnd().split("\n"),
  });
}
