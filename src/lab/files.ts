// SPDX-License-Identifier: MIT
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binDir, hostsPath, packageRoot } from "./paths.js";
import type { LabSpec } from "./spec.js";

/**
 * Every machine's names: `server` is its IPv4 addresses, `server6` its IPv6 ones. Resolvers disagree on which family comes
 * first, and a lab should do the same everywhere. A machine without IPv4 has its IPv6 addresses under both names.
 */
export function hostsText(spec: LabSpec): string {
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    `# the machines of the lab ${spec.name}`,
  ];
  for (const node of spec.nodes) {
    const addresses = node.interfaces.flatMap((one) => one.addresses.map((prefix) => prefix.split("/")[0] ?? ""));
    const v4 = addresses.filter((address) => !address.includes(":"));
    const v6 = addresses.filter((address) => address.includes(":"));
    lines.push(...v4.map((address) => `${address}\t${node.name}`));
    lines.push(...v6.map((address) => `${address}\t${v4.length === 0 ? `${node.name} ` : ""}${node.name}6`));
  }
  return `${lines.join("\n")}\n`;
}

/** In place, because machines have this very file as their /etc/hosts. */
export function writeHosts(spec: LabSpec): void {
  writeFileSync(hostsPath(spec.name), hostsText(spec));
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

export const shellSettings = (lab: string): string => join(binDir(lab), "shellrc");

/** What is in the directory that comes first in the machines' PATH: `xdpctl` there is this one, run by this Node. */
export function launcherFiles(lab: string): Record<string, { text: string; mode: string }> {
  const dir = binDir(lab);
  const command = [process.execPath, join(packageRoot(), "bin", "xdpctl.cjs")].map(quoted).join(" ");
  // A login file may set PATH anew.
  const settings = ["[ -r ~/.bashrc ] && . ~/.bashrc", `PATH=${quoted(dir)}:$PATH`, "PS1='\\u@\\h:\\w\\$ '"];
  return {
    [join(dir, "xdpctl")]: { text: `#!/bin/sh\nexec ${command} "$@"\n`, mode: "755" },
    [shellSettings(lab)]: { text: `${settings.join("\n")}\n`, mode: "644" },
  };
}

export function writeLauncher(lab: string): void {
  mkdirSync(binDir(lab), { recursive: true });
  for (const [path, { text, mode }] of Object.entries(launcherFiles(lab))) {
    writeFileSync(path, text);
    chmodSync(path, Number.parseInt(mode, 8));
  }
}
