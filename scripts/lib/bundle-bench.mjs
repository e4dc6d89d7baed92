// SPDX-License-Identifier: MIT
// Bundles the benchmarks, and the programs that they start, into build/bench/.
import { resolve } from "node:path";
import { build } from "esbuild";

/** AF_XDP's system calls are timed in the benchmarks' programs. */
const timedCalls = {
  name: "timed-calls",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/ffi\.js$/ }, ({ importer }) =>
      /\/src\/linux\/(?:nap|poll|socket)\.ts$/.test(importer) ? { path: resolve("bench/timed-ffi.ts") } : undefined,
    );
  },
};

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
  plugins: [timedCalls],
  banner: {
    js: 'import { createRequire as xdpctlCreateRequire } from "node:module";\nconst require = xdpctlCreateRequire(import.meta.url);',
  },
});
