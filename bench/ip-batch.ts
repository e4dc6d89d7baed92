// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import type { EndSpec, LabSpec } from "../src/lab/index.js";

const SWITCH = "sw";

/** The shell script that sets a lab up as one does by hand: `ip -batch`, once for the host and once for each namespace. */
export class IpBatch {
  readonly #prefix: string;
  readonly #up: string;
  readonly #down: string;

  constructor(spec: LabSpec, prefix: string) {
    this.#prefix = prefix;
    const names = [...(spec.bridges.length > 0 ? [SWITCH] : []), ...spec.nodes.map(({ name }) => name)];
    const host = names.map((name) => `netns add ${prefix}${name}`);
    const inside = new Map<string, string[]>(names.map((name) => [name, []]));
    const add = (name: string, line: string): unknown => inside.get(name)?.push(line);

    for (const { name } of spec.bridges) add(SWITCH, `link add name ${name} type bridge`);
    for (const { name } of spec.bridges) add(SWITCH, `link set dev ${name} up`);
    for (const [at, { ends, mtu }] of spec.links.entries()) {
      const [left, right] = ends.map((end, side) => this.#end(end, `p${at}${side}`)) as [PlacedEnd, PlacedEnd];
      host.push(
        `link add name ${left.name} netns ${prefix}${left.at} mtu ${mtu} type veth ` +
          `peer name ${right.name} netns ${prefix}${right.at} mtu ${mtu}`,
      );
      for (const end of [left, right]) {
        if (end.bridge !== undefined) add(end.at, `link set dev ${end.name} master ${end.bridge} up`);
      }
    }
    for (const node of spec.nodes) {
      add(node.name, "link set dev lo up");
      for (const { name, addresses } of node.interfaces) {
        for (const address of addresses)
          add(node.name, `address add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`);
        add(node.name, `link set dev ${name} up`);
      }
      for (const { to, via, dev } of node.routes) {
        const all = via?.includes(":") === true ? "::/0" : "0.0.0.0/0";
        const [gateway, device] = [via === undefined ? "" : ` via ${via}`, dev === undefined ? "" : ` dev ${dev}`];
        add(node.name, `route add ${to === "default" ? all : to}${gateway}${device}`);
      }
    }
    const forwarders = spec.nodes.filter(({ forward }) => forward);
    this.#up = [
      batch("ip", host),
      ...names.map((name) => batch(`ip -n ${prefix}${name}`, inside.get(name) ?? [])),
      ...forwarders.map(({ name }) => `ip netns exec ${prefix}${name} sysctl -qw net.ipv4.ip_forward=1`),
      "",
    ].join("\n");
    this.#down = batch(
      "ip",
      names.map((name) => `netns delete ${prefix}${name}`),
    );
  }

  #end(end: EndSpec, port: string): PlacedEnd {
    if ("bridge" in end) return { at: SWITCH, name: port, bridge: end.bridge };
    return { at: end.node, name: end.interface, bridge: undefined };
  }

  /** The file of a machine's network namespace. */
  namespace(node: string): string {
    return `/run/netns/${this.#prefix}${node}`;
  }

  up(): void {
    run(this.#up);
  }

  down(): void {
    run(this.#down);
  }
}

interface PlacedEnd {
  at: string;
  name: string;
  bridge: string | undefined;
}

function batch(command: string, lines: readonly string[]): string {
  return `${command} -batch - <<'END'\n${lines.join("\n")}\nEND`;
}

function run(script: string): void {
  const result = spawnSync("bash", ["-e", "-c", script], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`ip -batch: ${result.stderr}`);
}
