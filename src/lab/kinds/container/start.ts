// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import type { LabSpec, NodeSpec } from "../../spec.js";
import { isAlive, type LabState, processMark, writeState } from "../../state.js";
import { adoptNamespace } from "./adopt.js";
import { containerKey, containerOf, createArguments, mountSource } from "./create.js";
import { type EngineName, engine, engineVersion, findEngine } from "./engine.js";
import { type Image, imagesOf } from "./images.js";
import { expectedNeeds, needOf, optionsFor } from "./options.js";
import { removeContainers } from "./stop.js";

interface Host {
  readonly engine: EngineName;
  readonly images: ReadonlyMap<string, Image>;
}

/** What `check` found for a spec; `start` of the same one needs it again. */
const hosts = new WeakMap<LabSpec, Host>();

/** Finds the engine and the images. Errors: XDPCTL_E_NO_ENGINE, XDPCTL_E_NO_IMAGE, XDPCTL_E_NO_FILE. */
export function hostFor(spec: LabSpec, nodes: readonly NodeSpec[]): Host {
  const known = hosts.get(spec);
  if (known !== undefined) return known;
  for (const node of nodes) for (const { source } of containerOf(node).mounts) mountSource(spec, node, source);
  const found = findEngine();
  const host = { engine: found, images: imagesOf(found, nodes) };
  hosts.set(spec, host);
  return host;
}

/** Makes and starts the containers that are missing or differ from the spec. Returns their machines' names. */
export function startContainers(state: LabState, spec: LabSpec, nodes: readonly NodeSpec[]): string[] {
  const host = hostFor(spec, nodes);
  const { engine: at } = host;
  const imageOf = (node: NodeSpec): Image => host.images.get(containerOf(node).image) as Image;
  const keys = new Map(nodes.map((node) => [node.name, containerKey(state, node, imageOf(node).id)]));
  const wanted = nodes.filter((node) => {
    const mark = state.machines[node.name]?.container;
    return mark?.key !== keys.get(node.name) || !isAlive(mark?.init);
  });
  if (wanted.length === 0) return [];
  // What is marked, and what a crash left without a mark.
  removeContainers(
    state,
    wanted.map((node) => node.name),
  );
  const ids = attempt(state, spec, at, wanted);
  const pids = pidsOf(at, ids);
  for (const [i, node] of wanted.entries()) {
    const pid = pids[i] ?? 0;
    if (at === "docker" && pid > 0) adoptNamespace(state, node, pid);
    const { env, workingDir, user } = imageOf(node);
    const mark = state.machines[node.name];
    const init = processMark(pid);
    if (mark === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", `${node.name} has no namespaces`);
    state.machines[node.name] = {
      ...mark,
      container: {
        id: ids[i] ?? "",
        key: keys.get(node.name) ?? "",
        // Of a command that has ended already there is no process.
        init: init ?? { pid: 0, start: "" },
        env,
        workingDir,
        user,
      },
    };
  }
  return wanted.map((node) => node.name);
}

/** Creates and starts containers, with more options where the engine's answer asks for them. Returns their ids. */
function attempt(state: LabState, spec: LabSpec, at: EngineName, nodes: readonly NodeSpec[]): string[] {
  const before = state.containers;
  const needs = before?.engine === at ? [...before.needs] : expectedNeeds(at);
  const version = before?.engine === at ? before.version : engineVersion(at);
  for (;;) {
    const options = optionsFor(at, needs);
    const note = [...options.engine, ...options.container].join(" ");
    state.containers = { engine: at, version, needs: [...needs], options: note };
    // From here on a crash may leave containers: who comes next has to ask this engine for them.
    writeState(state);
    const ids: string[] = [];
    let reason: string | undefined;
    let failed: NodeSpec | undefined;
    for (const node of nodes) {
      const made = engine(at, [...options.engine, ...createArguments(at, state, spec, node, options.container)]);
      if (made.ok) ids.push(made.stdout.trim());
      else {
        failed = node;
        reason = made.reason;
        break;
      }
    }
    if (reason === undefined) {
      const started = engine(at, [...options.engine, "start", ...ids]);
      if (started.ok) return ids;
      reason = started.reason;
    }
    removeContainers(
      state,
      nodes.map((node) => node.name),
    );
    const need = needOf(at, reason, needs);
    if (need !== undefined) {
      needs.push(need);
      continue;
    }
    if (before === undefined) delete state.containers;
    else state.containers = before;
    throw refusal(at, failed === undefined ? nodes : [failed], reason, note);
  }
}

function refusal(at: EngineName, nodes: readonly NodeSpec[], reason: string, options: string): XdpctlError {
  const names = nodes.map((node) => node.name).join(", ");
  const used = options === "" ? "" : ` (options: ${options})`;
  const what = `${at} can't start ${nodes.length === 1 ? "the container of" : "containers of"} ${names}`;
  if (/is already in use|name .* in use/.test(reason)) {
    return new XdpctlError("XDPCTL_E_LAB_CONFLICT", `${what}: ${reason}`, {
      remedy: "a container of that name is not of this lab: rename it, or deploy with `--name`",
    });
  }
  if (/executable file|no such file or directory/.test(reason)) {
    return new XdpctlError("XDPCTL_E_ENGINE", `${what}: ${reason}`, {
      remedy: "`command` names what runs there; the default needs /bin/sh and `sleep` in the image",
    });
  }
  return new XdpctlError("XDPCTL_E_ENGINE", `${what}${used}: ${reason}`);
}

function pidsOf(at: EngineName, ids: readonly string[]): number[] {
  const { ok, stdout, reason } = engine(at, ["container", "inspect", "--format", "{{.State.Pid}}", ...ids]);
  if (!ok) throw new XdpctlError("XDPCTL_E_ENGINE", `${at} does not know what it has just started: ${reason}`);
  return stdout.trim().split("\n").map(Number);
}
