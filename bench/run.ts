// SPDX-License-Identifier: MIT
import { parseArgs } from "node:util";
import { cLibrary } from "./build.js";
import type { Benchmark, Row } from "./row.js";
import { forward } from "./rows/forward.js";
import { hooks } from "./rows/hooks.js";
import { lab } from "./rows/lab.js";
import { memory } from "./rows/memory.js";
import { packet } from "./rows/packet.js";
import { packetsLua } from "./rows/packets-lua.js";
import { replace } from "./rows/replace.js";
import { ring } from "./rows/ring.js";
import { status } from "./rows/status.js";
import { vm } from "./rows/vm.js";
import { xsk } from "./rows/xsk.js";
import { soak } from "./rows/xsk-soak.js";
import { machineText, tableText } from "./table.js";

const BENCHMARKS: Record<string, Benchmark> = {
  ring,
  hooks,
  lab,
  status,
  replace,
  memory,
  vm,
  forward,
  xsk,
  packet,
  "packets-lua": packetsLua,
};
/** Those that take long, and are run only by their names. */
const LONG: Record<string, Benchmark> = { "xsk-soak": soak };
const ALL = { ...BENCHMARKS, ...LONG };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seconds: { type: "string" },
  },
});
const wrong = positionals.find((name) => !Object.hasOwn(ALL, name));
if (wrong !== undefined) {
  console.error(`bench: there is no benchmark \`${wrong}\` (there are ${Object.keys(ALL).join(", ")})`);
  process.exit(2);
}

const log = (text: string): void => console.error(`bench: ${text}`);
const rows: Row[] = [];
let failed = false;
log(machineText());
// What the bundles make AF_XDP's system calls by.
cLibrary("timed");
const chosen = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
for (const [name, benchmark] of Object.entries(ALL)) {
  if (!chosen.includes(name)) continue;
  log(name);
  try {
    rows.push(...(await benchmark({ quick: values.quick, seconds, log })));
  } catch (error) {
    failed = true;
    log(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
}
console.log(values.json ? JSON.stringify({ machine: machineText(), rows }) : tableText(rows));
process.exit(failed ? 1 : 0);
