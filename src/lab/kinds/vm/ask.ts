// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../paths.js";
import type { Argv, Place, Ran } from "../kind.js";

const ASK_MS = 20_000;

/**
 * Runs a command in a guest, to its end, while this thread waits: the agent's answers come to another process. What stood
 * in the way is in `stderr`.
 */
export function askGuest({ state, node }: Place, argv: Argv, input = ""): Ran {
  const words = ["lab", "exec", "--lab", state.name, node.name, "--", ...argv];
  const { XDPCTL_NODE: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot(), "bin", "xdpctl.cjs"), ...words], {
    env,
    cwd: "/",
    input,
    encoding: "utf8",
    timeout: ASK_MS,
  });
  return { ok: status === 0, stdout: stdout ?? "", stderr: stderr ?? "" };
}
