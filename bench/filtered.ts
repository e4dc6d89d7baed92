// SPDX-License-Identifier: MIT
/* One machine (the pair's right side) that filters what another sends it, in one of several ways. */
import { spawnSync } from "node:child_process";
import { TestPair } from "../test/fixtures/netns.js";
import { XDPCTL, xdpctl } from "../test/fixtures/xdpctl.js";
import { cProgram } from "./build.js";
import { LineProcess } from "./lines.js";

/** `bpf`: the guard with a rule; `lua`: the guard with a packet hook. */
export type FilterKind = "none" | "bpf" | "nft" | "lua";

export const hasNft = spawnSync("nft", ["--version"]).status === 0;

export class Filtered {
  readonly pair = new TestPair({ net: 3 });
  readonly #processes: LineProcess[] = [];
  #owner: LineProcess | undefined;

  /** `policy`: the words of `--policy` for `lua`; `rule`: those of `deny` for `bpf`, whose last is the port that `nft` drops. */
  static async start(kind: FilterKind, policy: readonly string[], rule: readonly string[]): Promise<Filtered> {
    const machine = new Filtered();
    try {
      // Frames as a wire has them: what veths pass on in pieces of 64 KiB would be copied for any XDP program.
      for (const side of [machine.pair.left, machine.pair.right])
        side.must("ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off");
      await machine.#filter(kind, policy, rule);
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  async #filter(kind: FilterKind, policy: readonly string[], rule: readonly string[]): Promise<void> {
    const { right } = this.pair;
    if (kind === "nft") {
      const chain = "type filter hook input priority 0;";
      right.must("nft", `add table ip t; add chain ip t f { ${chain} }; add rule ip t f tcp dport ${rule.at(-1)} drop`);
    }
    if (kind !== "bpf" && kind !== "lua") return;
    const words = kind === "lua" ? ["--policy", ...policy] : [];
    this.#owner = new LineProcess(right.argv(...XDPCTL, "run", "guard", "eth0", ...words));
    await this.#owner.receive();
    if (kind === "lua") await this.#owner.receive();
    else if (xdpctl(right, ["deny", ...rule]).status !== 0) throw new Error(`deny ${rule.join(" ")} failed`);
  }

  /** A program of bench/c/tcp.c, here or on the other side. */
  async tcp(side: "left" | "right", ...args: string[]): Promise<LineProcess> {
    const process = new LineProcess(this.pair[side].argv(cProgram("tcp"), ...args));
    this.#processes.push(process);
    if (args[0] !== "syn") await process.receive();
    return process;
  }

  async close(): Promise<void> {
    // Clients first: servers don't read their standard input.
    for (const one of this.#processes.splice(0).reverse()) {
      process.kill(one.pid, "SIGKILL");
      await one.close();
    }
    if (this.#owner !== undefined) {
      process.kill(this.#owner.pid, "SIGTERM");
      await this.#owner.close();
    }
    this.pair.close();
  }
}
