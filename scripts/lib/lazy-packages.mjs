// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * An esbuild plugin: what a source asks for with `createRequire(import.meta.url)("name")`, so that it is loaded at its
 * first use, goes into the bundle and is still evaluated at its first use. koffi stays outside.
 */
export const lazyPackages = {
  name: "lazy-packages",
  setup(build) {
    build.onLoad({ filter: new RegExp(`^${join(process.cwd(), "src")}/.*\\.ts$`) }, ({ path }) => {
      const contents = readFileSync(path, "utf8").replace(
        /createRequire\(import\.meta\.url\)\("(?!koffi")([^"]+)"\)/g,
        'require("$1")',
      );
      return { contents, loader: "ts" };
    });
  },
};
