// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const KERNEL = "7.2";
let dir: string;
let module: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-echo-"));
  const built = spawnSync(join(ROOT, "scripts/build-kmod"), ["--kernel", KERNEL, "genl-echo"], { encoding: "utf8" });
  expect(built.status, built.stderr).toBe(0);
  const [version = ""] = built.stdout.split(" ");
  module = join(ROOT, "build/kmod", version, "genl-echo.ko");
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a script in a guest that has the module and a NIC, and returns what each part of it printed. */
function inGuest(script: string): { parts: Record<string, string>; stderr: string; status: number | null } {
  const prepare = `xdpctl() { "${process.execPath}" ${ROOT}/bin/xdpctl.cjs "$@"; }\npart() { echo "== $1"; }\n`;
  const words = [
    "vm",
    "run",
    "-k",
    KERNEL,
    "--net",
    "user",
    "--overlay",
    dir,
    "--module",
    module,
    "--",
    "sh",
    "-c",
    prepare + script,
  ];
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(ROOT, "bin/xdpctl.cjs"), ...words], {
    cwd: dir,
    encoding: "utf8",
    timeout: 200_000,
    input: "",
  });
  const parts = stdout
    .split(/^== /m)
    .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]);
  return { parts: Object.fromEntries(parts), stderr, status };
}

it("a file that the kernel can't take as a module is refused before the guest boots", () => {
  const run = (kernel: string, file: string): string =>
    spawnSync(process.execPath, [join(ROOT, "bin/xdpctl.cjs"), "vm", "run", "-k", kernel, "--module", file, "true"], {
      encoding: "utf8",
      timeout: 60_000,
    }).stderr;
  expect(run("6.12", module)).toMatch(
    /genl-echo\.ko is for 7\.2\S*, the guest's kernel is 6\.12\S* {2}XDPCTL_E_BAD_MODULE/,
  );
  expect(run(KERNEL, "/etc/passwd")).toMatch(/^error: \/etc\/passwd is no kernel module {2}XDPCTL_E_BAD_MODULE/m);
});

it("a line goes through the kernel and runs as Lua; events of the module reach Lua hooks; the module may go and come back", () => {
  writeFileSync(
    join(dir, "lines"),
    ['print("lua " .. 6 * 7)', "x = = 1", "", "load drop eth0", 'print("still here")', "exit", ""].join("\n"),
  );
  writeFileSync(
    join(dir, "hook.lua"),
    `on("genl", "ECHO", "events", function(event)
       log("event %s", event.attributes:string(1))
       genl.call("ECHO", 1, { { 1, "from Lua" } }, function(answers, problem)
         log("reply %s", problem and tostring(problem) or answers[1].attributes:string(1))
       end)
     end, function(what) log("group %s", what) end)`,
  );
  const { parts, stderr, status } = inGuest(`
    part echo; xdpctl genl echo hello --json
    part repl; xdpctl repl --via ECHO --no-tick < lines; echo "exit $?"
    part after; xdpctl status
    part hook
    ${process.execPath} ${ROOT}/bin/xdpctl.cjs genl monitor ECHO events --json > heard 2>&1 & monitor=$!
    ${process.execPath} ${ROOT}/bin/xdpctl.cjs run pass eth0 --policy hook.lua > log 2>&1 & run=$!
    wait_for() { for i in $(seq 300); do grep -q "$1" log && return; sleep 0.1; done; echo "no $1"; }
    wait_for "hook  running"
    echo one > /sys/kernel/debug/genl-echo/trigger; wait_for "event one"; wait_for "reply"
    rmmod genl-echo; wait_for "group gone"
    insmod ${module}; wait_for "group there"
    echo two > /sys/kernel/debug/genl-echo/trigger; wait_for "event two"
    kill $run; wait $run; echo "exit $?"; cat log
    part monitor; kill -INT $monitor; wait $monitor; cat heard
    part kernel; dmesg | grep -E "BUG|WARNING|Call Trace|KASAN" | head -5
  `);
  expect(JSON.parse(parts.echo ?? "")).toMatchObject({ text: "hello" });
  expect(parts.repl).toContain("lua 42");
  expect(parts.repl).toMatch(/eth0 +drop +native/);
  expect(parts.repl).toContain("still here");
  expect(parts.repl).toMatch(/exit 0\n$/);
  expect(stderr).toContain("failed to execute Lua call.");
  // What the REPL attached went with it.
  expect(parts.after).toMatch(/^eth0 +– /m);
  expect(parts.hook).not.toMatch(/^no /m);
  expect(parts.hook).toMatch(/^exit 0$/m);
  expect(parts.hook).toContain("reply from Lua");
  const heard = (parts.monitor ?? "").trim().split("\n");
  const states = heard.map(
    (line) => JSON.parse(line) as { type: string; state?: string; attributes?: { text: string }[] },
  );
  expect(states.map(({ type, state, attributes }) => state ?? attributes?.[0]?.text ?? type)).toEqual([
    "one",
    "gone",
    "there",
    "two",
  ]);
  expect(parts.kernel).toBe("");
  expect(status).toBe(0);
});
