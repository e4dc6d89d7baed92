// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import { shown } from "../../shown.js";
import { isAlive, type LabState } from "../../state.js";
import type { NodeSpec } from "../../spec.js";
import type { Waiting } from "../../waiting.js";
import type { Argv } from "../kind.js";
import { containerOf } from "./create.js";
import { engine } from "./engine.js";
import { probeInContainer } from "./enter.js";

const PAUSE_MS = 20;
/** So long a command that can't do its work is given to end. */
const SETTLE_MS = 60;
const LOG_LINES = 5;

/**
 * Waits until the `ready` command of each machine succeeds; one that has none is ready when its command does not end at
 * once. Errors: XDPCTL_E_NOT_READY, with what the command printed last, or with the log of a container that has ended.
 */
export function* untilReady(state: LabState, nodes: readonly NodeSpec[]): Waiting {
  const start = performance.now();
  for (const node of nodes) {
    const { ready } = containerOf(node);
    const mark = state.machines[node.name]?.container;
    if (ready === null || mark === undefined) continue;
    let last = "";
    for (;;) {
      if (!isAlive(mark.init)) throw ended(state, node, mark.id);
      const left = Math.max(Math.round(ready.withinMs - (performance.now() - start)), 1);
      const { ok, stdout, stderr, code } = yield probeInContainer({ state, node }, ready.command as Argv, left);
      if (ok) break;
      const started = code === undefined || code === "ETIMEDOUT";
      const text = started ? `${stderr}${stdout}`.trim() : `${shown(ready.command[0] ?? "")} can't be started: ${code}`;
      // What has run out of time had nothing to say.
      if (text !== "") last = text;
      if (performance.now() - start > ready.withinMs) {
        const command = shown(ready.command.join(" "));
        throw new XdpctlError(
          "XDPCTL_E_NOT_READY",
          `${node.name} is not ready after ${ready.withinMs} ms: ${command}`,
          {
            lines: last === "" ? [] : last.split("\n").slice(-LOG_LINES),
            remedy: "`ready.within` gives it more time",
          },
        );
      }
      yield PAUSE_MS;
    }
  }
  const left = SETTLE_MS - (performance.now() - start);
  if (left > 0) yield left;
  for (const node of nodes) {
    const mark = state.machines[node.name]?.container;
    if (mark !== undefined && !isAlive(mark.init)) throw ended(state, node, mark.id);
  }
}

function ended(state: LabState, node: NodeSpec, id: string): XdpctlError {
  const name = state.containers?.engine ?? "podman";
  const status = engine(name, ["container", "inspect", "--format", "{{.State.ExitCode}}", id]).stdout.trim();
  const log = engine(name, ["logs", "--tail", String(LOG_LINES), id]);
  return new XdpctlError("XDPCTL_E_NOT_READY", `the container of ${node.name} has ended with status ${status}`, {
    lines: `${log.stdout}${log.ok ? log.reason.replace(/^no reason$/, "") : ""}`
      .split("\n")
      .filter((line) => line !== ""),
    remedy: "`command` is what it runs; it lives as long as that",
  });
}
