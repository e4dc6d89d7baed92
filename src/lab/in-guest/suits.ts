// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { LabSpec } from "../spec.js";

/**
 * Throws XDPCTL_E_USAGE for a lab that no guest can have in it: only machines of namespaces need nothing but a kernel.
 * `done` is what can't be done with others.
 */
export function checkSuitsGuest(spec: LabSpec, done: string): void {
  const other = spec.nodes.find((node) => node.kind !== "netns");
  if (other === undefined) return;
  throw new XdpctlError(
    "XDPCTL_E_USAGE",
    `the machine ${other.name} is of the kind ${other.kind}: only labs of namespaces can be ${done} in a guest`,
    {
      remedy:
        other.kind === "vm" ? "its own `kernel` in the lab file chooses the kernel" : `have it ${done} on the host`,
    },
  );
}

/** What the kernel of a guest will look for to make the lab: loaded at once it needs no modprobe each. */
export function modulesFor({ bridges, nodes, links }: LabSpec): string[] {
  return [
    "veth",
    ...(bridges.length > 0 ? ["bridge"] : []),
    ...(nodes.some(({ masquerade }) => masquerade.length > 0) ? ["nf_tables", "nft_chain_nat", "nft_masq"] : []),
    ...(links.some(({ impair }) => impair !== undefined) ? ["sch_tbf", "sch_netem"] : []),
  ];
}
