// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

interface Metafile {
  outputs: Record<string, { inputs: Record<string, unknown>; imports: { path: string; external?: boolean }[] }>;
}

const ENTRIES = {
  xdpctl: "index",
  "xdpctl/bpf": "bpf",
  "xdpctl/netlink": "netlink",
  "xdpctl/packet": "packet",
  "xdpctl/xsk": "xsk",
};
const metafile = JSON.parse(readFileSync("build/state/library.meta.json", "utf8")) as Metafile;

/** Everything that an output and its imports were made of. */
function ingredients(output: string, seen = new Set<string>()): string[] {
  const made = metafile.outputs[output];
  if (seen.has(output) || made === undefined) return [];
  seen.add(output);
  const imported = made.imports.filter(({ external }) => external !== true).map(({ path }) => path);
  return [...Object.keys(made.inputs), ...imported.flatMap((path) => ingredients(path, seen))];
}

/** Prints each module that is loaded, as Node's loader sees it. */
const SPY = `
  import { register } from "node:module";
  register("data:text/javascript," + encodeURIComponent(\`
    import { writeSync } from "node:fs";
    export function load(url, context, next) { writeSync(1, url + "\\\\n"); return next(url, context); }
  \`));
`;

function modulesLoadedBy(specifier: string): string[] {
  const code = `${SPY} await import(${JSON.stringify(specifier)});`;
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect(result.stderr).toBe("");
  return result.stdout.trim().split("\n");
}

for (const [specifier, name] of Object.entries(ENTRIES)) {
  test(`${specifier} is made without Lua, YAML or the command line`, () => {
    const inputs = ingredients(`dist/${name}.js`);
    expect(inputs.filter((path) => path.startsWith("src/"))).not.toEqual([]);
    expect(inputs.filter((path) => /^src\/(cli|policy|control|lab|rpc|vm)\//.test(path))).toEqual([]);
    expect(inputs.filter((path) => /node_modules\/(fengari|yaml|commander)\//.test(path))).toEqual([]);
  });

  test(`importing ${specifier} loads its own files and Node's, nothing else`, () => {
    const loaded = modulesLoadedBy(specifier);
    expect(loaded).toContain(`file://${join(process.cwd(), "dist", `${name}.js`)}`);
    const others = loaded.filter((url) => !url.startsWith("node:") && !/\/dist\/(lib-\w+|[a-z]+)\.js$/.test(url));
    expect(others).toEqual([]);
  });
}

test("importing the library opens no shared object: koffi is loaded at the first foreign call", () => {
  const code = `
    for (const name of ${JSON.stringify(Object.keys(ENTRIES))}) await import(name);
    const objects = process.report.getReport().sharedObjects;
    console.log(JSON.stringify(objects.filter((path) => /koffi|libbpf|netlink/.test(path))));
  `;
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect(result.stdout.trim()).toBe("[]");
});

test("the entries share their modules: an error of one is an error to the others", () => {
  const code = `
    import { XdpctlError } from "xdpctl";
    import { builtinPath } from "xdpctl/bpf";
    try { builtinPath("no-such-program"); } catch (error) { console.log(error instanceof XdpctlError); }
  `;
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect(result.stderr).toBe("");
  expect(result.stdout.trim()).toBe("true");
});

test("what is public has all that it takes, and nothing else", () => {
  const code = `
    import * as all from "xdpctl";
    import { Loop, monitorLinks } from "xdpctl/netlink";
    console.log(JSON.stringify(Object.keys(all).sort()), all.Loop === Loop);
    const loop = new Loop();
    const monitor = monitorLinks(loop, () => {});
    console.log(monitor.links.some((link) => link.name === "lo"));
    monitor.close();
    loop.close();
  `;
  const result = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect(result.stderr).toBe("");
  const [names = "", found] = result.stdout.trim().split("\n");
  expect(found).toBe("true");
  expect(names).toMatch(/ true$/);
  const listed = JSON.parse(names.replace(/ true$/, "")) as string[];
  expect(listed).toEqual(
    expect.arrayContaining(["CODES", "EXIT_CODES", "Loop", "XdpAttachment", "XdpctlError", "attach"]),
  );
  for (const name of ["didYouMean", "editDistance", "similar"]) expect(listed).not.toContain(name);
});
