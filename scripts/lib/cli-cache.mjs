// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

const loader = new URL("./cli-loader.cjs", import.meta.url);

/** The scripts that dist/start.cjs runs: each is dist/NAME.cjs. */
export const SCRIPTS = ["cli", "exec"];

/**
 * Writes dist/start.cjs and, for one of its scripts that was made anew, the code that V8 makes of it for this version of Node.
 * A cache's name holds the hash of its script: V8 itself compares no more than its length. Returns what was written.
 */
export function finishScript(name, replaceFile) {
  const made = SCRIPTS.filter((script) => existsSync(`dist/${script}.cjs`));
  const caches = Object.fromEntries(made.map((script) => [`${script}.cjs`, cacheOf(script)]));
  const text = readFileSync(loader, "utf8").replace("const CACHES = {};", `const CACHES = ${JSON.stringify(caches)};`);
  replaceFile("dist/start.cjs", text);
  const cache = cacheOf(name);
  const words = ["--input-type=commonjs", "-e", PREPARE + (name === "cli" ? RECORD : COMPILE), cache];
  spawnSync(process.execPath, words, { stdio: "ignore", timeout: 10_000 });
  return ["dist/start.cjs", ...(existsSync(`dist/${cache}`) ? [`dist/${cache}`] : [])];
}

function cacheOf(name) {
  const hash = createHash("sha256")
    .update(readFileSync(`dist/${name}.cjs`))
    .digest("hex")
    .slice(0, 12);
  return `${name}-${hash}-${process.version}-${process.arch}.cache`;
}

const PREPARE = `
  const { renameSync, writeFileSync } = require("node:fs");
  const { setFlagsFromString } = require("node:v8");
  const { load } = require(process.cwd() + "/dist/start.cjs");
  const save = (script) => {
    const cache = "dist/" + process.argv[1];
    writeFileSync(cache + ".new", script.createCachedData());
    renameSync(cache + ".new", cache);
  };
`;

/** A command that uses most of what commands share; what it prints and how it ends doesn't matter here. */
const RECORD = `
  const { script, exports: { main } } = load("cli.cjs");
  process.on("exit", () => save(script));
  main(["status", "--json"]);
`;

/** What it would do needs a guest: all of it is compiled instead, it is small. */
const COMPILE = `
  setFlagsFromString("--no-lazy");
  const { script } = load("exec.cjs");
  setFlagsFromString("--lazy");
  save(script);
`;
