// SPDX-License-Identifier: MIT
// Runs cli.cjs, or exec.cjs where that is enough, with V8's code from the cache where the build left one for this Node: to
// compile takes 20 ms.
"use strict";
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { constants, Script } = require("node:vm");

const WRAPPER = "(function (exports, require, module, __filename, __dirname) {";
const CACHES = {}; // by script

function cachedCode(name) {
  try {
    return readFileSync(`${__dirname}/${CACHES[name]}`);
  } catch {
    return undefined;
  }
}

/** Runs one of the scripts beside this one: the script, and what it exports. */
exports.load = function load(name) {
  const filename = `${__dirname}/${name}`;
  const script = new Script(`${WRAPPER}${readFileSync(filename, "latin1")}\n})`, {
    filename,
    columnOffset: -WRAPPER.length,
    cachedData: cachedCode(name),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const inner = { exports: {} };
  script.runInThisContext()(inner.exports, createRequire(filename), inner, filename, __dirname);
  return { script, exports: inner.exports };
};

exports.main = async function main() {
  const [, , command, verb, ...words] = process.argv;
  if (command === "lab" && verb === "exec") await exports.load("exec.cjs").exports.main(words);
  return exports.load("cli.cjs").exports.main();
};
