// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";

const bin = (path) => [process.execPath, `node_modules/${path}`];
const CHECKS = {
  types: [
    ...bin("typescript/bin/tsc"),
    ...["-p", ".", "--noEmit", "--incremental", "--tsBuildInfoFile", "build/state/tsc.json", "--pretty", "false"],
  ],
  style: [...bin("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."],
  imports: [...bin("dependency-cruiser/bin/dependency-cruise.mjs"), "--output-type", "err", "src"],
  unused: [...bin("knip/bin/knip.js"), "--no-progress"],
};

const wanted = process.argv.slice(2);
const wrong = wanted.find((name) => !Object.hasOwn(CHECKS, name));
if (wrong !== undefined) {
  console.error(`check: there is no check \`${wrong}\` (there are ${Object.keys(CHECKS).join(", ")})`);
  process.exit(2);
}

function run(command) {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("close", (status) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      resolve({ ok: status === 0, output: output.trim(), seconds });
    });
  });
}

mkdirSync("build/state", { recursive: true });
const names = wanted.length > 0 ? wanted : Object.keys(CHECKS);
const results = names.map((name) => [name, run(CHECKS[name])]);
let failed = 0;
for (const [name, result] of results) {
  const { ok, output, seconds } = await result;
  console.log(`check ${name.padEnd(8)} ${ok ? "ok" : "FAILED"}  ${seconds} s`);
  if (ok) continue;
  failed += 1;
  console.log(output.replace(/^(?=.)/gm, "  "));
}
process.exit(failed === 0 ? 0 : 1);
