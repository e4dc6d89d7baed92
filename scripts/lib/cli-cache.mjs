// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

const loader = new URL("./cli-loader.cjs", import.meta.url);

/**
 * Writes dist/start.cjs, which runs dist/cli.cjs, and the code that V8 makes of that for this version of Node. The cache's
 * name holds the hash of the script: V8 itself compares no more than its length. Returns what was written.
 */
export function finishCli(replaceFile) {
  const hash = createHash("sha256").update(readFileSync("dist/cli.cjs")).digest("hex").slice(0, 12);
  const cache = `cli-${hash}-${process.version}-${process.arch}.cache`;
  replaceFile("dist/start.cjs", readFileSync(loader, "utf8").replace("@CACHE@", cache));
  // A command that uses most of what commands share; what it prints and how it ends doesn't matter here.
  spawnSync(process.execPath, ["--input-type=commonjs", "-e", RECORD, cache], { stdio: "ignore", timeout: 10_000 });
  return ["dist/start.cjs", ...(existsSync(`dist/${cache}`) ? [`dist/${cache}`] : [])];
}

const RECORD = `
  const { renameSync, writeFileSync } = require("node:fs");
  const cache = "dist/" + process.argv[1];
  const { main, script } = require(process.cwd() + "/dist/start.cjs");
  process.on("exit", () => {
    writeFileSync(cache + ".new", script.createCachedData());
    renameSync(cache + ".new", cache);
  });
  main(["status", "--json"]);
`;
