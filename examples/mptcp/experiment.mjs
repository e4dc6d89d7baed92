// SPDX-License-Identifier: MIT
//
// How much a detour gains: labs/detour.lab.yml with one subflow (control), with a second one through a NAT detour (nat),
// and with a second one through a VPN (vpn), under conditions (params). As root, from the top of the repository:
//
//   node examples/mptcp/experiment.mjs [--params easy,lossy-1,delayed-100,sym-easy] [--setups control,nat,vpn]
//                                      [--rate 10mbit] [--seconds 10] [--trials 1] [--json]
//
// easy: 10 Mbit/s on the way over r1 and r2, and as much on the one over r3. lossy-N: N per cent of the packets between r1
// and r2 are lost, each way. delayed-N: there they are N ms late, each way. sym-…: the same at the client's own link, which
// all paths share. Losses and delays need a kernel with netem; cells that can't be measured say so. An emulated guest has
// such a kernel, and needs a lower rate.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const XDPCTL = [process.execPath, join(ROOT, "bin/xdpctl.cjs")];
const FLOW = [process.execPath, join(ROOT, "examples/mptcp/flow.mjs")];
const LAB = `mpx${process.pid}`;
const [SERVER, DETOUR] = ["10.0.3.2", "10.0.5.2"];
const ALL = ["easy", "lossy-0.5", "lossy-1", "lossy-2", "lossy-5", "delayed-20", "delayed-50", "delayed-100"];
const SETUPS = { control: [], nat: [DETOUR], vpn: [`vpn:${DETOUR}`] };

const OPTIONS = {
  params: { type: "string", default: "all" },
  setups: { type: "string", default: Object.keys(SETUPS).join() },
  rate: { type: "string", default: "10mbit" },
  seconds: { type: "string", default: "10" },
  trials: { type: "string", default: "1" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
};

function usageError(text) {
  console.error(`error: ${text} (see --help)`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return usageError(error.message);
  }
}

const values = options();
if (values.help) {
  // The head of this file is its help.
  const [, ...head] = readFileSync(fileURLToPath(import.meta.url), "utf8")
    .split("\nimport")[0]
    .split("\n//");
  console.log(
    head
      .map((line) => line.slice(1))
      .join("\n")
      .trim(),
  );
  process.exit(0);
}
const paramsList = values.params === "all" ? [...ALL, ...ALL.map((one) => `sym-${one}`)] : values.params.split(",");
const setups = values.setups.split(",");
const seconds = Number(values.seconds);
const trials = Number(values.trials);
const wrong =
  paramsList.find((one) => !/^(sym-)?(easy|(lossy|delayed)-\d+(\.\d+)?)$/.test(one)) ??
  setups.find((one) => !Object.hasOwn(SETUPS, one));
if (wrong !== undefined || !(seconds > 0) || !(trials >= 1)) {
  usageError(
    wrong === undefined
      ? "--seconds and --trials take numbers"
      : `${JSON.stringify(wrong)} is neither a condition nor a setup`,
  );
}

const folder = mkdtempSync(join(tmpdir(), "xdpctl-experiment-"));
const key = join(folder, "vpn.key");
const children = new Set();

/** The lab file under these conditions: a second deploy changes the links and nothing else. */
function labFile(params) {
  const [, sym, kind, amount] = /^(sym-)?([a-z]+)-?(.*)$/.exec(params);
  const more = kind === "lossy" ? `, loss: ${amount}%` : kind === "delayed" ? `, delay: ${amount}ms` : "";
  const [base, links = ""] = readFileSync(join(ROOT, "labs/detour.lab.yml"), "utf8").split(/(?=\nlinks:)/);
  const clean = links.replaceAll(/, impair: \{.*?\}/g, "");
  const impair = (text, end, what) => text.replace(new RegExp(`(.*"${end}".*) \\}`), `$1, impair: { ${what} } }`);
  const rates = sym
    ? impair(clean, "client:eth0", `rate: ${values.rate}${more}`)
    : impair(impair(clean, "r1:eth1", `rate: ${values.rate}${more}`), "r1:eth2", `rate: ${values.rate}`);
  const file = join(folder, "lab.yml");
  writeFileSync(file, base + rates);
  return file;
}

/** Runs xdpctl; its error, if it has one. */
function xdpctl(...args) {
  const [command, ...first] = XDPCTL;
  const { status, stderr } = spawnSync(command, [...first, ...args, "--json"], { encoding: "utf8" });
  return status === 0
    ? undefined
    : stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
        .at(-1).error;
}

/** Starts a command in a machine, and waits until it printed `sign`; resolves to how it is ended. */
async function start(machine, argv, sign) {
  const child = spawn("ip", ["netns", "exec", `${LAB}-${machine}`, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const ended = new Promise((resolve) => child.once("close", resolve));
  let said = "";
  await new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.includes(sign)) resolve();
      });
    }
    ended.then(() => reject(new Error(`${argv.slice(1).join(" ")} ended: ${said}`)));
  });
  return async () => {
    child.kill("SIGTERM");
    await ended;
    children.delete(child);
  };
}

/** One transfer of some seconds: what the client says of it. */
async function transfer(seconds) {
  const argv = ["netns", "exec", `${LAB}-client`, ...FLOW, "send", SERVER, "7000", String(seconds)];
  const child = spawn("ip", argv, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more) => {
    text += more;
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  if (status !== 0) throw new Error(`the client ended with status ${status}`);
  return JSON.parse(text);
}

async function measure(setup, params) {
  const error = xdpctl("lab", "deploy", labFile(params), "--name", LAB);
  if (error !== undefined)
    return { setup, params, error: error.code === "XDPCTL_E_NOT_SUPPORTED" ? "needs netem" : error };
  const runs = [];
  for (let i = 0; i < trials; i++) runs.push(await transfer(seconds));
  const mbits = runs.reduce((sum, { mbits }) => sum + mbits, 0) / trials;
  return { setup, params, mbits: Number(mbits.toFixed(2)), runs };
}

async function main() {
  const failed = xdpctl("lab", "deploy", labFile("easy"), "--name", LAB) ?? xdpctl("mptcp", "detour", "key", key);
  if (failed !== undefined) throw new Error(failed.message);
  const vpn = ["--vpn-key", key, "--vpn-clear"];
  const stop = [await start("server", [...FLOW, "receive", "7000"], "listening")];
  const serve = ["mptcp", "detour", "serve", "--vpn", "10.8.0.0/24", ...vpn];
  stop.push(await start("detour", [...XDPCTL, ...serve], "Ctrl-C"));
  const cells = [];
  for (const setup of setups) {
    const run = ["mptcp", "detour", "run", ...SETUPS[setup], ...(setup === "vpn" ? vpn : []), "--timeout", "60s"];
    const end = setup === "control" ? undefined : await start("client", [...XDPCTL, ...run], "Ctrl-C");
    // The first connection after a start pays for it.
    await transfer(1);
    for (const params of paramsList) {
      const cell = await measure(setup, params);
      cells.push(cell);
      const told = cell.error === undefined ? `${cell.mbits} Mbit/s` : (cell.error.message ?? cell.error);
      const missed = cell.runs?.some(({ paths }) => paths.length < (setup === "control" ? 1 : 2));
      console.error(`${setup} ${params}: ${told}${missed ? " (the detour was not used)" : ""}`);
    }
    await end?.();
    // A VPN was up under the last conditions; the next setup starts under the first.
    xdpctl("lab", "deploy", labFile("easy"), "--name", LAB);
  }
  for (const end of stop) await end();
  if (values.json) console.log(JSON.stringify({ kernel: release(), rate: values.rate, seconds, trials, cells }));
  else print(cells);
}

/** A line for the conditions, a column for each setup: Mbit/s. */
function print(cells) {
  const text = (params, setup) => {
    const cell = cells.find((one) => one.params === params && one.setup === setup);
    return cell.error === undefined ? cell.mbits.toFixed(2) : (cell.error.code ?? cell.error);
  };
  const lines = [["Mbit/s", ...setups], ...paramsList.map((one) => [one, ...setups.map((setup) => text(one, setup))])];
  for (const [first, ...rest] of lines) {
    console.log(first.padEnd(16) + rest.map((one) => one.padStart(13)).join(""));
  }
}

try {
  await main();
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  for (const child of children) child.kill("SIGTERM");
  xdpctl("lab", "destroy", LAB);
  rmSync(folder, { recursive: true });
}
