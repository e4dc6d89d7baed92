// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";

const RESULTS = "build/test";
const LANES = [
  { name: "unit", folders: ["test/unit", "test/fuzz"] },
  { name: "netns", folders: ["test/netns"], lacks: () => (process.getuid() === 0 ? undefined : "needs root") },
  { name: "vm", folders: ["test/vm"], lacks: () => (process.getuid() === 0 ? undefined : "needs root") },
  {
    name: "long",
    folders: ["test/long"],
    onDemand: true,
    lacks: () => (process.getuid() === 0 ? undefined : "needs root"),
  },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = [];
const run = randomUUID();

function fail(text) {
  total.failed += 1;
  failures.push(text);
}

function testFiles(lane) {
  return lane.folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true }))
    .filter((path) => path.endsWith(".test.ts"));
}

/** Leaves out the lanes of which no file was asked for. */
function isAskedFor(lane, argument) {
  const paths = argument.filter((word) => /^(\.\/)?test\/\w/.test(word)).map((word) => word.replace(/^\.\//, ""));
  if (paths.length === 0) return full || !lane.onDemand;
  return paths.some((path) => lane.folders.some((folder) => path.startsWith(folder)));
}

function start(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, XDPCTL_TEST_RUN: run, ...env },
    });
    // Ctrl-C reaches the whole process group: the child ends, and what it left is still looked for.
    child.on("close", (status, signal) => resolve(status ?? signal));
  });
}

async function runLane(lane, args) {
  console.log(`\n── ${lane.name} ${"─".repeat(60)}`);
  const file = `${RESULTS}/${lane.name}.json`;
  rmSync(file, { force: true });
  const status = await start(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--project", lane.name, "--passWithNoTests", ...args],
    { XDPCTL_TEST_RESULTS: file },
  );
  const results = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  if (results === undefined) {
    fail(`lane ${lane.name}: ended without results (${status})`);
    return;
  }
  total.passed += results.passed;
  for (const name of results.failed) fail(name);
  for (const skip of results.skipped) skips.push(skip);
  total.skipped += results.skipped.length;
  if (status !== 0 && results.failed.length === 0) fail(`lane ${lane.name}: vitest ended with ${status}`);
}

async function leakCheck() {
  const outfile = `${process.cwd()}/${RESULTS}/leaks.mjs`;
  await build({
    entryPoints: ["test/fixtures/leaks.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["koffi"],
    logLevel: "error",
  });
  return import(outfile);
}

let interrupted = false;
process.on("SIGINT", () => {
  interrupted = true;
});

mkdirSync(RESULTS, { recursive: true });
const full = process.argv.includes("--full");
const args = process.argv.slice(2).filter((word) => word !== "--full");
const leaks = await leakCheck();
const before = leaks.snapshot();

if (args.length === 0) {
  if ((await start("scripts/check", [])) !== 0) fail("scripts/check");
}
for (const lane of LANES) {
  const files = testFiles(lane);
  if (interrupted || files.length === 0 || !isAskedFor(lane, args)) continue;
  const lacks = lane.lacks?.();
  if (lacks === undefined) {
    await runLane(lane, args);
  } else {
    total.skipped += files.length;
    skips.push({ name: `lane ${lane.name} (${files.length} files)`, reason: lacks });
  }
}
for (const leak of await leaks.remaining(before, run, 5000)) fail(`left behind: ${leak}`);
if (interrupted) fail("interrupted");

console.log("");
for (const { name, reason } of skips) console.log(`skipped: ${name}: ${reason}`);
for (const text of failures) console.log(`failed: ${text}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
