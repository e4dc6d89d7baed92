// SPDX-License-Identifier: MIT
import { createHash } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, BPF_FS_MAGIC, fileSystemType } from "../../../linux/index.js";
import { hostsPath, netnsName, nodeDir } from "../../paths.js";
import { shown } from "../../shown.js";
import type { ContainerSpec, LabSpec, NodeSpec } from "../../spec.js";
import type { LabState } from "../../state.js";
import type { EngineName } from "./engine.js";

/** Labels of containers that labs made: the lab's id is what makes one ours to remove. */
export const LABEL = {
  lab: "xdpctl.lab",
  id: "xdpctl.lab.id",
  boot: "xdpctl.boot",
  node: "xdpctl.node",
} as const;

/** Keeps the container running, ends at once when asked to, and buries what commands leave behind. */
const IDLE = ["/bin/sh", "-c", 'trap "exit 0" TERM HUP INT; sleep infinity & wait'] as const;

export function containerOf(node: NodeSpec): ContainerSpec {
  if (node.container !== undefined) return node.container;
  throw new XdpctlError("XDPCTL_E_INTERNAL", `${node.name} is a container without an image`);
}

/** The environment that the file and the lab give. */
const environment = (state: LabState, node: NodeSpec): Record<string, string> => ({
  ...node.env,
  XDPCTL_LAB: state.name,
  XDPCTL_NODE: node.name,
});

/** What makes a container this container: with another text it is made anew. Its network is not part of it. */
export function containerKey(state: LabState, node: NodeSpec, imageId: string): string {
  const { command, mounts, capabilities } = containerOf(node);
  const text = JSON.stringify([imageId, command, mounts, capabilities, environment(state, node)]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** The host's path of a mount. Errors: XDPCTL_E_NO_FILE. */
export function mountSource(spec: LabSpec, node: NodeSpec, source: string): string {
  const path = resolve(dirname(spec.file), source);
  if (existsSync(path)) return path;
  throw new XdpctlError("XDPCTL_E_NO_FILE", `${node.name}: there is nothing to mount at ${shown(path)}`, {
    remedy: "a mount's source is relative to the lab file",
  });
}

/** A value of the option --mount: fields of comma-separated values. */
const fields = (...values: string[]): string =>
  values.map((value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(",");

/** The arguments of `create`. */
export function createArguments(
  at: EngineName,
  state: LabState,
  spec: LabSpec,
  node: NodeSpec,
  options: readonly string[],
): string[] {
  const { image, command, mounts, capabilities } = containerOf(node);
  const args = ["create", "--name", netnsName(state.name, node.name), "--hostname", node.name, "--pull=never"];
  args.push("--label", `${LABEL.lab}=${state.name}`, "--label", `${LABEL.id}=${state.id}`);
  args.push("--label", `${LABEL.boot}=${state.boot}`, "--label", `${LABEL.node}=${node.name}`, ...options);
  if (at === "podman") args.push("--network", `ns:${nodeDir(state.name, node.name)}/net`, "--no-hosts");
  else args.push("--network", "none");
  const bind = (source: string, target: string, ...more: string[]): void => {
    args.push("--mount", fields("type=bind", `src=${source}`, `dst=${target}`, ...more));
  };
  bind(hostsPath(state.name), "/etc/hosts", "readonly");
  if (mayUseBpf(capabilities)) bind(bpffsOf(state, node), "/sys/fs/bpf");
  for (const { source, target, readonly } of mounts) {
    bind(mountSource(spec, node, source), target, ...(readonly ? ["readonly"] : []));
  }
  for (const name of capabilities.drop) args.push("--cap-drop", name);
  for (const name of capabilities.add) args.push("--cap-add", name);
  for (const [name, value] of Object.entries(environment(state, node))) args.push("--env", `${name}=${value}`);
  const [file, ...words] = command ?? IDLE;
  if (file !== undefined) args.push("--entrypoint", at === "podman" ? JSON.stringify([file]) : file);
  return [...args, image, ...words];
}

const mayUseBpf = ({ add }: ContainerSpec["capabilities"]): boolean =>
  ["ALL", "CAP_BPF", "CAP_SYS_ADMIN"].some((name) => add.includes(name));

/** A bpffs of the machine's own, in the lab's directory, with which it goes. */
function bpffsOf(state: LabState, node: NodeSpec): string {
  const dir = join(nodeDir(state.name, node.name), "bpf");
  mkdirSync(dir, { recursive: true });
  if (fileSystemType(dir) !== BPF_FS_MAGIC) mount("bpf", dir, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  return dir;
}
