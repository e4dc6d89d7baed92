// SPDX-License-Identifier: MIT

/** What Node takes some milliseconds each to load, and few commands use. */
const SLOW = [
  ...[
    "child_process",
    "crypto",
    "dns/promises",
    "fs/promises",
    "net",
    "readline",
    "readline/promises",
    "stream",
    "tty",
  ],
  ...["worker_threads", "zlib"],
];

/** An esbuild plugin: Node's slow modules are loaded at the first use of what they export, not at the import. */
export const lazyBuiltins = {
  name: "lazy-builtins",
  setup(build) {
    const namespace = "lazy-builtin";
    build.onResolve({ filter: new RegExp(`^(node:)?(${SLOW.join("|")})$`) }, ({ path }) => ({ path, namespace }));
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => {
      const name = JSON.stringify(path);
      const getters = Object.keys(process.getBuiltinModule(path)).map(
        (key) => `get ${key}() { return process.getBuiltinModule(${name}).${key}; }`,
      );
      return { contents: `module.exports = {\n${getters.join(",\n")}\n};`, loader: "js" };
    });
  },
};
