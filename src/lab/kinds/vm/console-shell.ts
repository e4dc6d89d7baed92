// SPDX-License-Identifier: MIT
import { setTimeout as pause } from "node:timers/promises";
import type { Guest } from "../../../vm/index.js";
import { binDir } from "../../paths.js";
import { STANDARD_PATH } from "../host-files.js";

/** The serial line, and the console of virtio. */
const TERMINALS = ["/dev/ttyS0", "/dev/hvc0"];
const AGAIN_MS = 500;
/** The first process of a session that opens a terminal has it as its own. */
const SCRIPT = 'exec <"$1" >"$1" 2>&1; shift; exec "$@"';

/** Keeps a shell on each terminal of a guest, for as long as it runs: one without settings of a user, which take their time. */
export function serveConsoles(guest: Guest, lab: string, more: Readonly<Record<string, string>>): void {
  const own = { PATH: `${binDir(lab)}:${STANDARD_PATH}`, PS1: "\\u@\\h:\\w# " };
  const env = { ...own, ...more, XDPCTL_LAB: lab };
  for (const terminal of TERMINALS) {
    void serve(guest, ["sh", "-c", SCRIPT, "sh", terminal, "bash", "--norc", "-i"], env);
  }
}

async function serve(guest: Guest, argv: [string, ...string[]], env: Readonly<Record<string, string>>): Promise<void> {
  for (;;) {
    const shell = guest.exec({ argv, cwd: "/root", env: { ...env, HOME: "/root", TERM: "vt220" } });
    shell.stdout.resume();
    shell.stderr.resume();
    try {
      await shell.exit;
    } catch {
      // The guest is gone.
      return;
    }
    await pause(AGAIN_MS, undefined, { ref: false });
  }
}
