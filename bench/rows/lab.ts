// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { deploy, type LabSpec, parseLab } from "../../src/lab/index.js";
import { IpBatch } from "../ip-batch.js";
import { alternate, type Figures, median } from "../legs.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

const NAME = `bench${process.pid}`;
const THREE = `
name: ${NAME}
nodes:
  client:
  xdp: { forward: true }
  server:
bridges: { br-lan: , br-wan: }
links:
  - client:eth0 -- br-lan
  - xdp:eth1 -- br-lan
  - xdp:eth0 -- br-wan
  - server:eth0 -- br-wan
`;
const numbers = Array.from({ length: 50 }, (_, at) => at + 1);
const FIFTY = `
name: ${NAME}
nodes:
${numbers.map((n) => `  m${n}:`).join("\n")}
bridges: { br: }
links:
${numbers.map((n) => `  - m${n}:eth0 -- br`).join("\n")}
`;

/** Waits for the first answer with a process of its own, the same for both sides. */
function ping(namespace: string, address: string): void {
  const result = spawnSync("nsenter", [`--net=${namespace}`, "ping", "-n", "-q", "-c1", "-W2", address]);
  if (result.status !== 0) throw new Error(`${address} does not answer in ${namespace}`);
}

function addressOf(spec: LabSpec, node: string): string {
  const addresses = spec.nodes.find(({ name }) => name === node)?.interfaces[0]?.addresses ?? [];
  return addresses.find((address) => !address.includes(":"))?.split("/")[0] ?? "";
}

function time(body: () => void): number {
  const started = performance.now();
  body();
  return performance.now() - started;
}

/** Up (with the first ping answered) and down, alternated with `ip -batch` of the very same spec. */
async function measure(what: string, spec: LabSpec, from: string, to: string, legs: number): Promise<Row[]> {
  const address = addressOf(spec, to);
  const downs: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  const batch = new IpBatch(spec, `${NAME}-`);
  const ours = (): number => {
    let lab: ReturnType<typeof deploy> | undefined;
    try {
      return time(() => {
        lab = deploy(spec);
        ping(lab.namespaces(from).net, address);
      });
    } finally {
      downs.ours.push(time(() => lab?.destroy()));
    }
  };
  const theirs = (): number => {
    try {
      return time(() => {
        batch.up();
        ping(batch.namespace(from), address);
      });
    } finally {
      downs.theirs.push(time(() => batch.down()));
    }
  };
  ours();
  theirs();
  downs.ours.length = 0;
  downs.theirs.length = 0;
  // Namespaces are made and freed by the kernel's own threads, which no process is charged for.
  const ups = await alternate(ours, theirs, { legs, tolerated: 0.6 });
  const row = (text: string, mine: number, other: number, figures: Figures): Row => ({
    what: text,
    xdpctl: `${mine.toFixed(1)} ms`,
    beside: `${other.toFixed(1)} ms (ip -batch)`,
    ratio: (mine / other).toFixed(2),
    wanted: "≤ 1.5 × ip -batch",
    ok: mine <= 1.5 * other,
    note: legsNote(figures),
  });
  return [
    row(`${what}: up, first ping answered`, median(ups.ours), median(ups.theirs), ups),
    row(`${what}: down`, median(downs.ours), median(downs.theirs), ups),
  ];
}

export const lab: Benchmark = async ({ quick }) => [
  ...(await measure("lab of 3 machines", parseLab(THREE), "client", "server", quick ? 3 : 15)),
  ...(await measure("lab of 50 machines on one bridge", parseLab(FIFTY), "m1", "m50", quick ? 2 : 9)),
];
