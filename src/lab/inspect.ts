// SPDX-License-Identifier: MIT
import { type Link, openRoute, type RouteSocket } from "../netlink/index.js";
import { inNamespaces } from "../linux/index.js";
import { kindOf } from "./kinds/index.js";
import { nodeDir } from "./paths.js";
import { machineProcesses } from "./processes.js";
import { type LabState, machineLives } from "./state.js";

export interface InspectedInterface {
  readonly name: string;
  readonly ifindex: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** What it is linked to: `machine:interface`, or a bridge; null for what the lab did not make. */
  readonly peer: string | null;
  readonly xdp: { readonly mode: string; readonly id: number } | null;
}

export interface InspectedNode {
  readonly name: string;
  readonly kind: string;
  /** `gone`: its namespaces are not those that were made; `down`: what was started in them has ended. */
  readonly state: "ready" | "gone" | "down";
  readonly netns: string;
  readonly interfaces: readonly InspectedInterface[];
  readonly routes: readonly string[];
  readonly processes: readonly { readonly pid: number; readonly command: string }[];
  readonly container?: InspectedContainer;
  readonly vm?: InspectedGuest;
}

export interface InspectedGuest {
  /** `uname -r`; empty before it is known. */
  readonly kernel: string;
  /** `tcg: there is no /dev/kvm`. */
  readonly accelerator: string;
  readonly phase: "starting" | "booting" | "ready" | "failed" | "ended";
  /** What there is to say of a guest of which nothing is heard. */
  readonly hang?: string;
  /** The file with all that its console said. */
  readonly console: string;
  /** Why it failed or ended, and its last words. */
  readonly error?: string;
  readonly lines?: readonly string[];
  /** What its kernel has said that it should never say: the first line of each report. */
  readonly splats?: readonly string[];
}

export interface InspectedContainer {
  readonly id: string;
  readonly image: string;
  /** `podman 4.3.1`. */
  readonly engine: string;
  /** What this host turned out to need. */
  readonly options: string;
}

export interface LabInspection {
  readonly name: string;
  readonly file: string;
  readonly created: string;
  readonly tied: number | null;
  readonly nodes: readonly InspectedNode[];
  readonly bridges: readonly string[];
  /** That holds all of it, if so. */
  readonly guest?: InspectedGuest;
}

export function inspectLab(state: LabState): LabInspection {
  const processes = machineProcesses(state);
  return {
    name: state.name,
    file: state.spec.file,
    created: state.created,
    tied: state.tied?.pid ?? null,
    nodes: state.spec.nodes.map((node): InspectedNode => {
      const at = { state, node };
      const kind = kindOf(node);
      const alive = machineLives(state, node.name);
      const common = { name: node.name, kind: node.kind, netns: `${state.name}-${node.name}` };
      if (!alive) return { ...common, state: "gone", interfaces: [], routes: [], processes: [] };
      const route = inNamespaces({ net: `${nodeDir(state.name, node.name)}/net` }, () => openRoute());
      try {
        return {
          ...common,
          state: kind.fault?.(at) === undefined ? "ready" : "down",
          interfaces: interfaces(state, node.name, route),
          routes: routes(route),
          processes: processes
            .filter((one) => one.node === node.name)
            .map(({ mark, command }) => ({ pid: mark.pid, command })),
          ...kind.inspect?.(at),
        };
      } finally {
        route.close();
      }
    }),
    bridges: state.spec.bridges.map((bridge) => bridge.name),
  };
}

function interfaces(state: LabState, node: string, route: RouteSocket): InspectedInterface[] {
  const addresses = route.addresses().filter((one) => !one.address.startsWith("fe80:"));
  return route
    .links()
    .filter((link) => link.name !== "lo")
    .map((link) => ({
      name: link.name,
      ifindex: link.index,
      up: link.up,
      carrier: link.carrier,
      mtu: link.mtu,
      mac: link.address,
      addresses: addresses.filter((one) => one.index === link.index).map((one) => `${one.address}/${one.prefixLen}`),
      peer: peerOf(state, node, link),
      xdp: link.xdp.mode === "none" ? null : { mode: link.xdp.mode, id: link.xdp.progId },
    }));
}

function peerOf(state: LabState, node: string, link: Link): string | null {
  for (const { ends } of state.spec.links) {
    for (const [i, end] of ends.entries()) {
      const other = ends[1 - i];
      if (!("node" in end) || end.node !== node || end.interface !== link.name || other === undefined) continue;
      return "node" in other ? `${other.node}:${other.interface}` : other.bridge;
    }
  }
  return null;
}

function routes(route: RouteSocket): string[] {
  const names = new Map(route.links().map((link) => [link.index as number, link.name]));
  return route
    .routes()
    .filter((one) => one.via !== undefined)
    .map((one) => `${one.to} via ${one.via} dev ${names.get(one.index) ?? one.index}`);
}
