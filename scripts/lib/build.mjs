// SPDX-License-Identifier: MIT
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { finishScript, SCRIPTS } from "./cli-cache.mjs";
import { bundleForeignTypes } from "./foreign-types.mjs";
import { lazyBuiltins } from "./lazy-builtins.mjs";
import { lazyPackages } from "./lazy-packages.mjs";
import { bundledLicences } from "./licences.mjs";
import { onlyWhatIsUsed } from "./only-used.mjs";

const HERE = new URL("./", import.meta.url);
const STATE = "build/state/build.json";
/** Where a test reads what each output was made of. */
const META = "build/state";

// The CommonJS packages in the bundle ask for Node's own modules with `require`, which an ES module lacks.
const banner = {
  js: `import { createRequire as xdpctlCreateRequire } from "node:module";\nconst require = xdpctlCreateRequire(import.meta.url);`,
};

/** One CommonJS script: V8 can take its code from a cache, and Node's modules are loaded when a room needs them. */
const script = {
  format: "cjs",
  outExtension: { ".js": ".cjs" },
  define: { "import.meta.url": "xdpctlUrl" },
  banner: { js: 'const xdpctlUrl = require("node:url").pathToFileURL(__filename).href;' },
};

/** @type {{ name: string, entries: Record<string, string>, options: import("esbuild").BuildOptions }[]} */
const groups = [
  {
    name: "cli",
    entries: { cli: "src/cli/main.ts" },
    options: { ...script, plugins: [lazyBuiltins, lazyPackages] },
  },
  {
    name: "exec",
    entries: { exec: "src/cli/lab/exec-main.ts" },
    options: { ...script, plugins: [lazyBuiltins, onlyWhatIsUsed] },
  },
  { name: "policy-worker", entries: { "policy-worker": "src/policy/worker.ts" }, options: { banner } },
  { name: "probe", entries: { probe: "src/bpf/probe-main.ts" }, options: { banner } },
  {
    name: "capture-guardian",
    entries: { "capture-guardian": "src/capture/xdp/guardian-main.ts" },
    options: { banner },
  },
  { name: "lab-reach", entries: { "lab-reach": "src/lab/checks/reach-main.ts" }, options: { banner } },
  {
    name: "library",
    entries: {
      index: "src/index.ts",
      bpf: "src/bpf/index.ts",
      netlink: "src/netlink/index.ts",
      packet: "src/packet/index.ts",
      xsk: "src/xsk/index.ts",
      "xsk-worker": "src/xsk/all/worker.ts",
      "xsk-queue": "src/cli/xsk/queue-worker.ts",
    },
    // The entries share their modules, so that an object of one is an object to the others. The chunks lie beside them:
    // a file that is found relative to `import.meta.url` is found from each.
    options: { banner, splitting: true, chunkNames: "lib-[hash]" },
  },
];

function optionsOf(group) {
  const entryPoints = Object.fromEntries(Object.entries(group.entries).filter(([, path]) => existsSync(path)));
  return {
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["koffi"],
    outdir: "dist",
    metafile: true,
    logLevel: "warning",
    legalComments: "none",
    ...group.options,
    entryPoints,
  };
}

function readState() {
  try {
    return JSON.parse(readFileSync(STATE, "utf8"));
  } catch {
    return {};
  }
}

function fingerprint(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.mtimeMs} ${stat.size}`;
}

function keyOf(options) {
  // V8's cached code belongs to one version of Node.
  const hash = createHash("sha256").update(process.version).update(JSON.stringify(options));
  for (const name of readdirSync(HERE)) hash.update(readFileSync(new URL(name, HERE)));
  return hash.digest("hex");
}

function isFresh(saved, options) {
  return (
    saved !== undefined &&
    saved.key === keyOf(options) &&
    saved.outputs.every((path) => existsSync(path)) &&
    Object.entries(saved.inputs).every(([path, mark]) => fingerprint(path) === mark)
  );
}

/** A file is there as a whole or not at all, for the command that starts at this moment. */
function replaceFile(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

/** Writes what esbuild made, removes what the build before made and this one did not, and remembers all of it. */
function finish(state, group, options, { metafile, outputFiles }) {
  // Code of the old script must never meet the new one.
  for (const old of state[group.name]?.outputs ?? []) if (old.endsWith(".cache")) rmSync(old, { force: true });
  for (const { path, contents } of outputFiles) replaceFile(path, contents);
  const more = SCRIPTS.includes(group.name) ? finishScript(group.name, replaceFile) : [];
  const outputs = [...Object.keys(metafile.outputs), ...more];
  for (const old of state[group.name]?.outputs ?? []) if (!outputs.includes(old)) rmSync(old, { force: true });
  const inputs = Object.fromEntries(Object.keys(metafile.inputs).map((path) => [path, fingerprint(path)]));
  state[group.name] = { key: keyOf(options), inputs, outputs };
  mkdirSync(META, { recursive: true });
  writeFileSync(`${META}/${group.name}.meta.json`, JSON.stringify(metafile));
  replaceFile(STATE, JSON.stringify(state));
  const all = groups.flatMap((g) => Object.keys(state[g.name]?.inputs ?? {}));
  replaceFile("dist/THIRD-PARTY-LICENSES.txt", bundledLicences(all));
}

/** Outputs of an earlier build that no group makes any more. */
function sweep(state) {
  if (!existsSync("dist")) return;
  const made = new Set(groups.flatMap((group) => state[group.name]?.outputs ?? []));
  for (const name of readdirSync("dist"))
    if (/\.(js|cjs|cache|new)$/.test(name) && !made.has(`dist/${name}`)) rmSync(`dist/${name}`, { force: true });
}

async function build(force) {
  const state = readState();
  const stale = groups
    .map((group) => ({ group, options: optionsOf(group) }))
    .filter(({ options }) => Object.keys(options.entryPoints).length > 0)
    .filter(({ group, options }) => force || !isFresh(state[group.name], options));
  if (stale.length === 0) return true;
  console.error(`build: ${stale.map(({ group }) => group.name).join(", ")}`);
  const esbuild = await import("esbuild");
  let ok = true;
  for (const { group, options } of stale) {
    try {
      const result = await esbuild.build(options);
      finish(state, group, options, result);
    } catch {
      // esbuild has shown the error already.
      ok = false;
    }
  }
  if (ok) sweep(state);
  return ok;
}

async function watchAll() {
  const esbuild = await import("esbuild");
  const state = readState();
  for (const group of groups) {
    const options = optionsOf(group);
    if (Object.keys(options.entryPoints).length === 0) continue;
    const report = {
      name: "report",
      setup(build) {
        build.onEnd((result) => {
          if (result.errors.length === 0) finish(state, group, options, result);
          const time = new Date().toLocaleTimeString("en-GB");
          console.error(`${time} ${group.name}: ${result.errors.length === 0 ? "built" : "failed"}`);
        });
      },
    };
    const context = await esbuild.context({ ...options, plugins: [...(options.plugins ?? []), report] });
    await context.watch();
  }
  watchPrograms();
}

function watchPrograms() {
  let running = false;
  let again = false;
  const compile = () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    spawn("scripts/build-bpf", { stdio: "inherit" }).on("exit", () => {
      running = false;
      if (!again) return;
      again = false;
      compile();
    });
  };
  compile();
  watch("bpf", { recursive: true }, compile);
}

function buildTypes(force) {
  const saved = "dist/types/index.d.ts";
  const sources = readdirSync("src", { recursive: true }).filter((path) => path.endsWith(".ts"));
  const newest = Math.max(...sources.map((path) => statSync(`src/${path}`).mtimeMs));
  if (!force && existsSync(saved) && statSync(saved).mtimeMs > newest) return true;
  console.error("build: types");
  rmSync("dist/types", { recursive: true, force: true });
  const tsc = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: ["ignore", 2, 2],
  });
  if (tsc.status === 0) bundleForeignTypes("dist/types");
  return tsc.status === 0;
}

const has = (option) => process.argv.includes(option);
if (has("--watch")) {
  await watchAll();
} else {
  let ok = await build(has("--force"));
  if (ok && has("--types")) ok = buildTypes(has("--force"));
  process.exit(ok ? 0 : 1);
}
