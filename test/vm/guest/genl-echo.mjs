// SPDX-License-Identifier: MIT
// Runs in a guest as root, with the module's file as its argument, and prints what it saw as one JSON object.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { GenericMonitor, GenericSocket, genericAttribute, Loop } from "../../../dist/netlink.js";

const XDPCTL = new URL("../../../bin/xdpctl.cjs", import.meta.url).pathname;
const TRIGGER = "/sys/kernel/debug/genl-echo/trigger";
const INTERVAL = "/sys/module/genl_echo/parameters/interval_ms";
const module = process.argv[2];
const seen = {};

function must(...argv) {
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${status} ${stderr}`);
  return stdout;
}
const xdpctl = (...args) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [XDPCTL, ...args, "--json"], { encoding: "utf8" });
  return status === 0 ? JSON.parse(stdout) : JSON.parse(stderr);
};
const refusal = (write) => {
  try {
    write();
    return null;
  } catch (error) {
    return error.kernel || error.code;
  }
};
const text = (value) => genericAttribute(1, "nul-string", value);
const until = async (what, there) => {
  for (const end = Date.now() + 20_000; !there(); await new Promise((resolve) => setTimeout(resolve, 2))) {
    if (Date.now() > end) throw new Error(`waited for ${what}`);
    loop.turn();
  }
};
const objects = (cache) =>
  Number(new RegExp(`^${cache}\\s+(\\d+)`, "m").exec(readFileSync("/proc/slabinfo", "utf8"))?.[1]);

spawnSync("mount", ["-t", "debugfs", "debugfs", "/sys/kernel/debug"]);
must("insmod", module);
seen.echo = xdpctl("genl", "call", "ECHO", "1", "1=hello");
seen.missing = xdpctl("genl", "call", "ECHO", "1").error;

const socket = new GenericSocket();
const family = socket.family("ECHO");
const call = (body) => socket.request(family, 1, body);
seen.family = family;
seen.long = refusal(() => call(text("x".repeat(1024))));
seen.longest = call(text("y".repeat(1023)))[0].attributes[0].data.length;
seen.noNul = refusal(() => call(genericAttribute(1, "binary", "616263")));
seen.unknown = refusal(() => call(genericAttribute(9, "u32", "1")));
seen.event = refusal(() => socket.request(family, 2, text("a request that is none")));

// Events: the trigger's, then the timer's.
const loop = new Loop();
const events = [];
const hear = new GenericMonitor(loop, family, ["events"], { message: (m) => events.push(m), lost: () => {} });
writeFileSync(TRIGGER, "from the kernel\n");
await until("the trigger's event", () => events.length >= 1);
writeFileSync(INTERVAL, "10");
await until("the timer's events", () => events.length >= 4);
writeFileSync(INTERVAL, "0");
seen.events = events.slice(0, 4).map(({ command, attributes }) => ({
  command,
  message: attributes.find(({ type }) => type === 1).data.toString(),
  sequence: attributes.find(({ type }) => type === 2).data.readUInt32LE(),
  age: Number(process.hrtime.bigint() - attributes.find(({ type }) => type === 3).data.readBigUInt64LE()) / 1e9,
}));
hear.close();
seen.tooLong = refusal(() => writeFileSync(TRIGGER, "z".repeat(1025)));
seen.binary = refusal(() => writeFileSync(TRIGGER, "a\0b"));
seen.interval = refusal(() => writeFileSync(INTERVAL, "86400001"));

// What is echoed and told is given back: a leak would be an object for each.
const before = objects("skbuff_head_cache");
for (let i = 0; i < 2000; i++) call(text("again"));
for (let i = 0; i < 2000; i++) writeFileSync(TRIGGER, "again");
seen.leaked = objects("skbuff_head_cache") - before;

// Unloaded while somebody listens and the timer runs, over and over.
const listener = spawn(process.execPath, [XDPCTL, "genl", "monitor", "ECHO", "--json"], {
  stdio: ["ignore", "pipe", "inherit"],
});
writeFileSync(INTERVAL, "1");
await once(listener.stdout, "data");
must("rmmod", "genl_echo");
seen.listening = listener.exitCode === null;
for (let i = 0; i < 20; i++) {
  must("insmod", module, "interval_ms=1");
  must("rmmod", "genl_echo");
}
listener.kill("SIGTERM");
await once(listener, "close");
seen.gone = socket.find("ECHO") === undefined;
socket.close();
seen.log = must("dmesg");
process.stdout.write(JSON.stringify(seen));
process.exit(0);
