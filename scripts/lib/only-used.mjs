// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { join } from "node:path";

const SOURCES = join(process.cwd(), "src");
/** `const { a, b } = await import("./x.js");` */
const LATER = /const \{([^{}]+)\} = await import\((".*?")\);/g;

/**
 * An esbuild plugin for a script that does one thing: it gets only what that takes. Of our own modules those are left out of
 * which nothing is used (none of them acts when it is imported), and what is imported later is imported at once, so that
 * esbuild sees what is used of it.
 */
export const onlyWhatIsUsed = {
  name: "only-what-is-used",
  setup(build) {
    build.onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir }) => {
      if (!resolveDir.startsWith(SOURCES)) return undefined;
      return { path: join(resolveDir, path.replace(/\.js$/, ".ts")), sideEffects: false };
    });
    build.onLoad({ filter: new RegExp(`^${SOURCES}/.*\\.ts$`) }, ({ path }) => {
      const imports = [];
      const text = readFileSync(path, "utf8").replace(LATER, (_, names, from) => {
        imports.push(`import {${names.replaceAll(":", " as ")}} from ${from};`);
        return "";
      });
      return { contents: `${text}\n${imports.join("\n")}`, loader: "ts" };
    });
  },
};
