// SPDX-License-Identifier: MIT
import { isatty } from "node:tty";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import type { Agent, GuestCommand } from "../../vm/index.js";
import { downError } from "../down.js";
import type { LabInspection } from "../inspect.js";
import { hostFilesEnvironment, hostFilesShell } from "../kinds/host-files.js";
import type { Argv, Ending, Environment } from "../kinds/index.js";
import type { GuestFiles } from "../kinds/vm/files.js";
import { inspectRecord } from "../kinds/vm/inspect.js";
import { endingOf, standIn, withAgent } from "../kinds/vm/stand-in.js";
import { nodeDir } from "../paths.js";
import { shown } from "../shown.js";
import type { LabSpec, NodeSpec } from "../spec.js";
import { endText, talk } from "../talk.js";
import { ownProgram, rootEnvironment } from "./program.js";
import {
  type GuestLabState,
  guestLabEnd,
  guestLabFiles,
  guestLabPhase,
  guestLabTrouble,
  readGuestLab,
} from "./state.js";

/** This process's own directory need not be there. */
const NOWHERE = "/";

/** A lab of namespaces in a guest that holds all of it. */
export class GuestLab {
  readonly state: Readonly<GuestLabState>;

  constructor(state: GuestLabState) {
    this.state = state;
  }

  /** The lab of that name, if it is in a guest. Errors: XDPCTL_E_LAB_CONFLICT when it is being made or was left unfinished. */
  static find(name: string): GuestLab | undefined {
    const state = readGuestLab(name);
    if (state === undefined) return undefined;
    const phase = guestLabPhase(state);
    if (state !== null && (phase === "ready" || phase === "down")) return new GuestLab(state);
    const why = phase === "busy" ? "is being made" : "was left unfinished";
    throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `the lab ${name} ${why}`);
  }

  get name(): string {
    return this.state.name;
  }

  get spec(): LabSpec {
    return this.state.spec;
  }

  get nodes(): string[] {
    return this.spec.nodes.map((node) => node.name);
  }

  get files(): GuestFiles {
    return guestLabFiles(this.name);
  }

  /** Throws XDPCTL_E_NO_NODE for a machine that the lab has not, and XDPCTL_E_VM_… where its guest is gone, or hangs. */
  check(node: string): void {
    this.#node(node);
    this.#checkGuest();
  }

  #node(name: string): NodeSpec {
    const node = this.spec.nodes.find((one) => one.name === name);
    if (node !== undefined) return node;
    const hint = didYouMean(name, this.nodes) || `: there are ${this.nodes.join(", ")}`;
    throw new XdpctlError("XDPCTL_E_NO_NODE", `the lab ${this.name} has no machine ${shown(name)}${hint}`);
  }

  #checkGuest(): void {
    const trouble = guestLabTrouble(this.state);
    if (trouble === undefined) return;
    throw downError(`the lab ${this.name}`, trouble, "`xdpctl lab deploy --in-vm` makes it anew");
  }

  /** Stands for a command in a machine, with this process's streams, signals and window, to its end. */
  replace(node: string, argv: Argv, env: Environment = {}): Promise<Ending> {
    const spec = this.#node(node);
    this.#checkGuest();
    const all = { ...hostFilesEnvironment(this.name, spec, rootEnvironment()), ...env };
    // Entered by the agent itself: a start of Node would take a second there.
    return standIn({ ...this.#place, namespaces: nodeDir(this.name, node) }, argv, all);
  }

  shellCommand(node: string, interactive = isatty(0)): [string, ...string[]] {
    this.check(node);
    return hostFilesShell(this.name, interactive);
  }

  get #place(): { name: string; files: GuestFiles } {
    return { name: `the lab ${this.name}`, files: this.files };
  }

  #environment(): Environment {
    const { XDPCTL_NODE: _, ...env } = rootEnvironment();
    return { ...env, XDPCTL_LAB: this.name };
  }

  /** Stands for `xdpctl ARGS` in the guest. */
  xdpctl(...args: readonly string[]): Promise<Ending> {
    this.#checkGuest();
    return standIn(this.#place, ownProgram(...args), this.#environment(), NOWHERE);
  }

  /** Runs `xdpctl ARGS` in the guest; `body` has its streams and its end. */
  async run(args: readonly string[], body: (command: GuestCommand) => Promise<void>): Promise<Ending> {
    this.#checkGuest();
    const argv = ownProgram(...args);
    return withAgent(this.#place, async (agent: Agent) => {
      const command = agent.exec({ argv, cwd: NOWHERE, env: this.#environment() });
      await body(command);
      return endingOf(this.#place, argv, await command.exit);
    });
  }

  /** Runs `xdpctl ARGS` in the guest with `input`, and takes the lines that it prints. Throws when it fails. */
  async ask(args: readonly string[], input: string, told: (line: string) => void): Promise<void> {
    await withAgent(this.#place, async (agent: Agent) => {
      const command = agent.exec({ argv: ownProgram(...args), cwd: NOWHERE, env: this.#environment() });
      const { exit, errors } = await talk(command, input, told);
      if (exit.kind === "status" && exit.status === 0) return;
      throw new XdpctlError("XDPCTL_E_VM_SETUP", `xdpctl in the guest of ${this.name} ${endText(exit)}`, {
        lines: errors,
      });
    });
  }

  /** What the guest's kernel shows of the lab now, and how the guest is. */
  async inspect(): Promise<LabInspection> {
    const guest = inspectRecord(this.files, guestLabEnd(this.state));
    const { name, created, spec } = this.state;
    const known = { name, file: spec.file, created, tied: null, guest };
    if (guestLabTrouble(this.state) !== undefined) {
      const none = { state: "down", interfaces: [], routes: [], processes: [] } as const;
      const nodes = spec.nodes.map((node) => ({
        ...none,
        name: node.name,
        kind: node.kind,
        netns: `${name}-${node.name}`,
      }));
      return { ...known, nodes, bridges: spec.bridges.map((bridge) => bridge.name) };
    }
    let text = "";
    await this.ask(["lab", "inspect", name, "--json"], "", (line) => {
      text += line;
    });
    return { ...(JSON.parse(text) as LabInspection), ...known };
  }
}
