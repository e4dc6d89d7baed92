// SPDX-License-Identifier: MIT
// swap INTERFACE OBJECT…: loads the first program of each object and attaches the first, natively; each line on standard input, the
// number of an object, puts that one in its place, and is answered by `ok`. Runs in a guest.
import { createInterface } from "node:readline";
import { BpfObject, XdpLink } from "../src/bpf/index.js";
import { interfaceIndex } from "../src/linux/index.js";

const [name = "", ...paths] = process.argv.slice(2);
const objects = await Promise.all(paths.map((path) => BpfObject.load(path)));
const programs = objects.map((object) => Object.values(object.programs)[0]);
const at = (number: number) => {
  const program = programs[number];
  if (program === undefined) throw new Error(`there is no object ${number}`);
  return program;
};
const index = interfaceIndex(name);
if (index === undefined) throw new Error(`there is no interface ${name}`);
const link = XdpLink.create(at(0), index, "native");
if (typeof link === "number") throw new Error(`attaching to ${name}: errno ${link}`);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  link.update(at(Number(line)));
  console.log("ok");
}
link.close();
