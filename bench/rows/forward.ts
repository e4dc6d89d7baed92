// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { Lab } from "../../src/lab/index.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, median } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

const LAB = "labs/xdp-vm.lab.yml";
const NAME = "bench-forward";

function xdpctl(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, ["bin/xdpctl.cjs", ...args], { encoding: "utf8", input: "" });
  if (status !== 0) throw new Error(`xdpctl ${args.join(" ")}: ${status} ${stderr}`);
}

/** Datagrams a second that are offered: more than an emulated guest forwards. */
const OFFERED = 100_000;
const SECONDS = 3;
const SERVER = "192.168.6.1";

/** Datagrams a second that come through the guest. */
async function forwarded(at: Lab): Promise<number> {
  const inside = (node: string, ...argv: string[]): LineProcess =>
    new LineProcess(["nsenter", `--net=${at.namespaces(node).net}`, cProgram("udp"), ...argv]);
  const counter = inside("server", "count", "9000");
  await counter.receive();
  const sender = inside("client", "send", SERVER, "9000", String(OFFERED));
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  await sender.ask("stop");
  const received = Number(await counter.ask("count"));
  await Promise.all([sender.close(), counter.close()]);
  return received / SECONDS;
}

async function forwarding(quick: boolean): Promise<Row> {
  const bare = bpfObject("bare");
  const guest = (...argv: string[]): void => xdpctl("lab", "exec", "--lab", NAME, "xdp", "--", ...argv);
  try {
    xdpctl("lab", "deploy", "--name", NAME, LAB);
    const at = Lab.open(NAME);
    xdpctl("lab", "exec", "--lab", NAME, "client", "--", "ping", "-c", "2", "server");
    const { supervisor } = at.state.machines.xdp?.vm ?? {};
    const figures = await alternate(
      async () => {
        guest("xdpctl", "load", "pass", "eth1", "--mode", "native");
        const rate = await forwarded(at);
        guest("xdpctl", "unload", "eth1");
        return rate;
      },
      async () => {
        guest("ip", "link", "set", "dev", "eth1", "xdpdrv", "obj", bare, "sec", "xdp.frags");
        const rate = await forwarded(at);
        guest("ip", "link", "set", "dev", "eth1", "xdpdrv", "off");
        return rate;
      },
      // The kernel's own work for packets is charged to nobody.
      { legs: quick ? 1 : 9, tolerated: 0.6, roots: supervisor === undefined ? [] : [supervisor.pid] },
    );
    const [ours, theirs] = [median(figures.ours), median(figures.theirs)];
    return {
      what: "forwarding through a guest, small datagrams, `pass` in native mode",
      xdpctl: `${(ours / 1000).toFixed(1)} k/s`,
      beside: `${(theirs / 1000).toFixed(1)} k/s (bare XDP_PASS)`,
      ratio: (ours / theirs).toFixed(2),
      wanted: "≥ 0.95",
      ok: ours >= 0.95 * theirs,
      note: legsNote(figures),
    };
  } finally {
    xdpctl("lab", "destroy", NAME);
  }
}

export const forward: Benchmark = async ({ quick }) => [await forwarding(quick)];
