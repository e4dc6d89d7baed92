// SPDX-License-Identifier: MIT
import { readFileSync, writeFileSync } from "node:fs";

/** Sets a setting of this network namespace, below /proc/sys/net; returns how it becomes what it was. */
export function setForNow(name: string, value: string): () => void {
  const path = `/proc/sys/net/${name}`;
  const before = readFileSync(path, "latin1").trim();
  if (before === value) return () => {};
  writeFileSync(path, value);
  return () => writeFileSync(path, before);
}
