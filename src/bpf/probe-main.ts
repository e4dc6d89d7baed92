// SPDX-License-Identifier: MIT
// Reads an object from standard input and opens it with libbpf. Status 0: it opens; 1: libbpf's reason on standard output;
// a signal: libbpf crashed, which is why this is a process of its own.
import { readFileSync } from "node:fs";
import { errnoText } from "../linux/index.js";
import { libbpf, libbpfErrno } from "./libbpf.js";
import { capturePrint } from "./print.js";

const bytes = readFileSync(0);
const open = libbpf.func("void *bpf_object__open_mem(const void *, size_t, const void *)");
const { result, lines } = capturePrint(() => {
  const handle = open(bytes, bytes.length, null) as bigint | null;
  return handle === null || handle === 0n ? libbpfErrno() : 0;
});
if (result !== 0) {
  process.stdout.write(lines.at(-1)?.replace(/^libbpf: /, "") ?? errnoText(result));
  process.exitCode = 1;
}
