// SPDX-License-Identifier: MIT
// Exits 0 when node_modules holds what package-lock.json asks for, so that `npm ci` isn't run for nothing.
import { readFileSync } from "node:fs";

function packages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return {};
  }
}

const installed = packages("node_modules/.package-lock.json");
const stale = Object.entries(packages("package-lock.json")).filter(([path, wanted]) => {
  if (path === "") return false;
  const found = installed[path];
  // Optional packages of other processors are never installed here.
  if (found === undefined) return wanted.optional !== true;
  return found.version !== wanted.version || found.integrity !== wanted.integrity;
});
process.exit(stale.length === 0 ? 0 : 1);
