// SPDX-License-Identifier: MIT
// Runs in a guest as root, with the object of a firewall as its argument: captures its frames
// while it decides, and prints what was seen as one JSON object.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

const XDPCTL = new URL("../../../bin/xdpctl.cjs", import.meta.url).pathname;
const firewall = process.argv[2];

function must(...argv) {
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${status} ${stderr}`);
  return stdout;
}
const inside = (...argv) => ["ip", "netns", "exec", ...argv];
const attached = () => must("ip", "link", "show", "left").match(/prog\/xdp id (\d+)/)?.[1];

must("ip", "netns", "add", "far");
must("ip", "link", "add", "left", "type", "veth", "peer", "name", "right", "netns", "far");
must("ip", "address", "add", "10.9.0.1/24", "dev", "left");
must(...inside("far", "ip", "address", "add", "10.9.0.2/24", "dev", "right"));
must("ip", "link", "set", "left", "up");
must(...inside("far", "ip", "link", "set", "right", "up"));
must("ip", "link", "set", "left", "xdpdrv", "obj", firewall, "sec", "xdp");
const before = attached();

const capture = spawn(
  process.execPath,
  [XDPCTL, "capture", "left", "--json", "--count", "4", "--filter", "icmp", "--snaplen", "60"],
  { stdio: ["ignore", "pipe", "pipe"] },
);
let [stdout, stderr] = ["", ""];
capture.stdout.setEncoding("utf8").on("data", (text) => {
  stdout += text;
});
capture.stderr.setEncoding("utf8").on("data", (text) => {
  stderr += text;
});
const ended = once(capture, "close");
while (!stderr.includes("capturing on") && capture.exitCode === null) await new Promise((done) => setTimeout(done, 20));
const during = attached();
const ping = (...args) =>
  spawnSync("ip", ["netns", "exec", "far", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", ...args, "10.9.0.1"], {
    encoding: "utf8",
  }).stdout;
const pings = [ping(), ping("-s", "100")].map((text) => Number(/(\d+) received/.exec(text)?.[1]));
const [status] = await Promise.race([ended, new Promise((done) => setTimeout(() => done([-1]), 20_000))]);
const frames = stdout
  .trim()
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line));
const same = before === during && before === attached();
process.stdout.write(JSON.stringify({ status, stderr, frames, pings, same, log: must("dmesg") }));
process.exit(0);
