// SPDX-License-Identifier: MIT
import type { LabDocument } from "../../document.js";
import { shown } from "../../shown.js";
import type { ContainerSpec, MountSpec } from "../../spec.js";
import type { NodeDraft } from "../../topology.js";

const READY_WITHIN_MS = 10_000;
/** A machine's network is its own, as in a namespace: it may be set up and listened to. */
const OWN_NETWORK = ["CAP_NET_ADMIN", "CAP_NET_RAW"];
const UNIT_MS = { ms: 1, s: 1000, m: 60_000 } as const;

/** A list is taken as it is; a text is a line for the container's shell. */
const argv = (command: string | readonly string[]): readonly string[] =>
  typeof command === "string" ? ["/bin/sh", "-c", command] : command;

/** `CAP_NET_ADMIN` for `net_admin`. */
function capability(name: string): string {
  const upper = name.toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

function milliseconds(text: string): number {
  const [, number = "", unit = "s"] = /^([0-9.]+)(ms|s|m)$/.exec(text) ?? [];
  return Math.round(Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS]);
}

/** What the lab file says of a container. */
export function containerSpec(document: LabDocument, { name, path, settings }: NodeDraft): ContainerSpec {
  const { image, command, capabilities, ready, pull } = settings;
  if (image === undefined) document.problem(path, `the container ${shown(name)} needs an \`image\``);
  const drop = (capabilities?.drop ?? []).map(capability);
  const add = (capabilities?.add ?? []).map(capability);
  const dropped = drop.includes("ALL");
  for (const own of OWN_NETWORK) if (!dropped && !drop.includes(own) && !add.includes(own)) add.push(own);
  const mounts = (settings.mounts ?? []).map((given): MountSpec => {
    if (typeof given !== "string") return { readonly: false, ...given };
    const [source = "", target = "", mode] = given.split(":");
    return { source, target, readonly: mode === "ro" };
  });
  const twice = mounts.find(({ target }, i) => mounts.some((other, k) => k < i && other.target === target));
  if (twice !== undefined) document.problem([...path, "mounts"], `${shown(twice.target)} is mounted twice`);
  const poll =
    ready === undefined ? null : typeof ready === "string" || Array.isArray(ready) ? { command: ready } : ready;
  return {
    image: image ?? "",
    command: command === undefined ? null : argv(command),
    mounts,
    capabilities: { add, drop },
    ready:
      poll === null
        ? null
        : {
            command: argv(poll.command),
            withinMs: poll.within === undefined ? READY_WITHIN_MS : milliseconds(poll.within),
          },
    pull: pull === "missing",
  };
}
