// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BpfProgram } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import type { ForeignPlace } from "../../xdp/index.js";

const LIMIT_MS = 10_000;

/** The guardian's program: beside the bundle, or in `dist/` when run from the source. */
function guardianPath(): string {
  const found = ["./capture-guardian.js", "../../../dist/capture-guardian.js"]
    .map((relative) => fileURLToPath(new URL(relative, import.meta.url)))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new XdpctlError("XDPCTL_E_NO_FILE", "the part capture-guardian.js is missing", { remedy: "run scripts/build" });
}

/** A process that waits for our end, and puts the program back that was there before, however we ended. */
export class Guardian {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, "exit");
  }

  /** Resolves when it watches. Throws XDPCTL_E_SYSCALL where it can't. */
  static async start(place: ForeignPlace, before: BpfProgram, wrapper: BpfProgram): Promise<Guardian> {
    const args = [String(place.ifindex), place.mode, String(place.linkId ?? 0)];
    const child = spawn(process.execPath, [guardianPath(), ...args], {
      stdio: ["pipe", "pipe", "ignore", before.fd, wrapper.fd],
      cwd: "/",
      // A session of its own: Ctrl-C is for us alone.
      detached: true,
    });
    child.stdin?.on("error", () => undefined);
    const guardian = new Guardian(child);
    const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    const ready = child.stdout === null ? Promise.resolve() : once(child.stdout, "data");
    const watches = await Promise.race([
      ready.then(() => true),
      guardian.#exit.then(
        () => false,
        () => false,
      ),
    ]);
    clearTimeout(timer);
    if (watches) return guardian;
    throw new XdpctlError("XDPCTL_E_SYSCALL", "the process that would put the program back can't be started");
  }

  /** It is not needed any more. Resolves when it is gone. */
  async dismiss(): Promise<void> {
    this.#child.stdin?.end("done");
    await this.#exit;
  }
}
