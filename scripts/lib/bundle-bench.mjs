// SPDX-License-Identifier: MIT
// Bundles the benchmarks, and the programs that they start, into build/bench/.
import { build } from "esbuild";

await build({
  entryPoints: ["run", "controller", "swap", "xsk-side", "xsk-all-side"].map((name) => `bench/${name}.ts`),
  outdir: "build/bench",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  external: ["koffi"],
  logLevel: "error",
  banner: {
    js: 'import { createRequire as xdpctlCreateRequire } from "node:module";\nconst require = xdpctlCreateRequire(import.meta.url);',
  },
});
