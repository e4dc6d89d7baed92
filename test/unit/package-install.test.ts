// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { InstalledPackage } from "../fixtures/install.js";

let installed: InstalledPackage;
beforeAll(() => {
  installed = new InstalledPackage();
}, 120_000);
afterAll(() => installed.close());

function run(...command: string[]) {
  const [file, ...args] = installed.argv(...command);
  return spawnSync(file, args, { encoding: "utf8", cwd: installed.folder });
}

test("the tarball holds what a user needs, and nothing of the workshop", () => {
  const { files } = installed;
  for (const needed of [
    ...["LICENSE", "README.md", "CHANGELOG.md", "package.json", "bin/xdpctl.cjs"],
    ...[
      "dist/start.cjs",
      "dist/exec.cjs",
      "dist/policy-worker.js",
      "dist/probe.js",
      "dist/lab-reach.js",
      "dist/THIRD-PARTY-LICENSES.txt",
    ],
    ...["dist/index.js", "dist/bpf.js", "dist/netlink.js", "dist/packet.js"],
    ...["dist/types/index.d.ts", "dist/types/bpf/index.d.ts"],
    ...["build/bpf/pass.bpf.o", "build/bpf/drop.bpf.o", "build/bpf/guard.bpf.o"],
    ...["bpf/guard.bpf.c", "bpf/include/xdpctl.h", "bpf/LICENSE", "bpf/LICENSE.GPL-2.0"],
    ...["labs/xdp.lab.yml", "schema/lab.schema.json", "examples/policies/portscan.lua"],
  ]) {
    expect(files).toContain(needed);
  }
  expect(files.filter((path) => /^(src|test|bench|scripts|node_modules)\/|\.map$|setup/.test(path))).toEqual([]);
});

test("the bundle carries the licences of what it holds", () => {
  const text = readFileSync(join(installed.root, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
  for (const name of ["commander", "fengari", "yaml"]) expect(text).toMatch(new RegExp(`^${name} \\d`, "m"));
});

test("the installed command runs", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const result = run("xdpctl", "version");
  expect(result.stderr).toBe("");
  expect(result.stdout).toContain(version);
  expect(result.status).toBe(0);
});

test("the installed library is typed: a program of a user compiles against it, and a wrong one does not", () => {
  const user = join(installed.folder, "prefix/lib/user.mts");
  const good = `
    import { attach, XdpctlError } from "xdpctl";
    import { type BpfMap, BpfObject, type BpfProgram, type Value } from "xdpctl/bpf";
    import { openRoute } from "xdpctl/netlink";
    import * as packet from "xdpctl/packet";
    export const code: string | undefined = XdpctlError.is(null) ? "XDPCTL_E_USAGE" : undefined;
    export const names = [typeof BpfObject.load, typeof openRoute, typeof packet];

    interface Guard {
      programs: { guard: BpfProgram };
      maps: { deny_v4: BpfMap<{ addr: string; prefixLen: number }, Value> };
      events: { events: { type: "EVENT_FLOW" | "EVENT_DENY"; src: string } };
    }
    export async function watch(): Promise<void> {
      await using guard = await BpfObject.load<Guard>("guard.bpf.o", { variables: { event_mask: 1 } });
      await using link = attach(guard.programs.guard, "eth1", { mode: "auto" });
      console.log(link.mode, link.fallback);
      for await (const event of guard.events.events) {
        if (event.type === "EVENT_DENY") guard.maps.deny_v4.delete({ addr: event.src, prefixLen: 32 });
      }
    }
  `;
  const compile = (source: string) => {
    writeFileSync(user, source);
    const tsc = join(process.cwd(), "node_modules/typescript/bin/tsc");
    const types = join(process.cwd(), "node_modules/@types");
    const options = [
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--lib",
      "es2023,esnext.disposable",
    ];
    return spawnSync(process.execPath, [tsc, ...options, "--typeRoots", types, "--types", "node", user], {
      encoding: "utf8",
    });
  };
  expect(compile(good).stdout).toBe("");
  expect(compile(good.replace("openRoute", "openRoutes")).stdout).toContain("openRoutes");
  expect(compile(good.replace('=== "EVENT_DENY"', '=== "EVENT_DENIED"')).stdout).toContain("EVENT_DENIED");
}, 60_000);
