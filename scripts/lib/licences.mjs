// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** The licence texts of the packages whose files are in a bundle: they ask to be passed on with it. */
export function bundledLicences(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found !== null) folders.add(found[1]);
  }
  const parts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const file = existsSync(folder) && readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "";
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The files of this folder hold code of these packages:\n\n${parts.join("\n----\n\n")}`;
}
