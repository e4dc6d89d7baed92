// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { XdpctlError } from "../../../errors/index.js";
import { isAlive, type LabState, type ProcessMark } from "../../state.js";
import { LABEL } from "./create.js";
import type { Origin } from "../kind.js";
import { type EngineName, engine, installedEngines } from "./engine.js";

const GRACE_MS = 600;
const PAUSE_MS = 5;
const SIGTERM_BIT = 1n << 14n;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

interface Found extends Origin {
  /** The container's. */
  readonly container: string;
  readonly node: string;
}

/** Containers that carry a label; the engine names no others. */
function labelled(name: EngineName, label: string): Found[] {
  const column = (key: string): string => (name === "podman" ? `{{index .Labels "${key}"}}` : `{{.Label "${key}"}}`);
  const format = ["{{.ID}}", ...[LABEL.lab, LABEL.id, LABEL.boot, LABEL.node].map(column)].join("\t");
  const args = ["ps", "--all", "--no-trunc", "--filter", `label=${label}`, "--format", format];
  const { ok, stdout, reason } = engine(name, args);
  if (!ok) throw new XdpctlError("XDPCTL_E_ENGINE", `${name} can't list containers: ${reason}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [container = "", lab = "", id = "", boot = "", node = ""] = line.split("\t");
      return { container, lab, id, boot, node };
    });
}

function remove(name: EngineName, ids: readonly string[]): void {
  if (ids.length === 0) return;
  const at_once = name === "podman" ? ["--time", "0"] : [];
  const { ok, reason } = engine(name, ["rm", "--force", "--volumes", ...at_once, ...ids]);
  if (!ok) throw new XdpctlError("XDPCTL_E_ENGINE", `${name} can't remove containers: ${reason}`);
}

/** Whether a process would see SIGTERM: the first of a PID namespace does not, unless it asked for it. */
function listens(init: ProcessMark): boolean {
  try {
    const [, mask = "0"] = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${init.pid}/status`, "utf8")) ?? [];
    return (BigInt(`0x${mask}`) & SIGTERM_BIT) !== 0n;
  } catch {
    return false;
  }
}

/** Asks commands to end that listen to it, and gives them a moment. */
function ask(marks: readonly ProcessMark[]): void {
  const asked = marks.filter((mark) => isAlive(mark) && listens(mark));
  for (const { pid } of asked) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It ended in between.
    }
  }
  const deadline = Date.now() + GRACE_MS;
  while (asked.some(isAlive) && Date.now() < deadline) Atomics.wait(sleeper, 0, 0, PAUSE_MS);
}

/** Removes the containers of a lab's machines, by their ids: those of `names`, or all. Errors: XDPCTL_E_ENGINE. */
export function removeContainers(state: LabState, names?: readonly string[]): void {
  const at = state.containers?.engine;
  if (at === undefined) return;
  const among = (node: string): boolean => names?.includes(node) ?? true;
  const marks = Object.entries(state.machines).flatMap(([node, { container }]) =>
    container !== undefined && among(node) ? [container.init] : [],
  );
  ask(marks);
  const found = labelled(at, `${LABEL.id}=${state.id}`).filter((one) => one.id === state.id && among(one.node));
  remove(
    at,
    found.map((one) => one.container),
  );
  for (const [node, mark] of Object.entries(state.machines)) {
    if (!among(node) || mark.container === undefined) continue;
    const { container: _, ...rest } = mark;
    state.machines[node] = rest;
  }
}

/** Removes containers whose labs are remains. Returns these labs. Needs no lab to be there. */
export function collectContainers(isRemain: (of: Origin) => boolean): Origin[] {
  const remains: Found[] = [];
  for (const name of installedEngines()) {
    let found: Found[];
    try {
      found = labelled(name, LABEL.id).filter((one) => one.id !== "" && isRemain(one));
    } catch {
      // An engine that does not answer has nothing that could be removed.
      continue;
    }
    remove(
      name,
      found.map((one) => one.container),
    );
    remains.push(...found);
  }
  return remains.filter((one, i) => remains.findIndex(({ id }) => id === one.id) === i);
}
