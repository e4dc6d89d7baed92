// SPDX-License-Identifier: MIT
import { lstatSync, mkdirSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { XdpctlError } from "../errors/index.js";

const ownId = (): number => process.getuid?.() ?? 0;

/** Where this user's programs keep what is gone with the next boot: root in /run/xdpctl. Need not be there. */
export function runtimeDir(): string {
  const uid = ownId();
  if (uid === 0) return "/run/xdpctl";
  return join(process.env.XDG_RUNTIME_DIR || `/tmp/xdpctl-${uid}`, "xdpctl");
}

/** Whether what is in `runtimeDir()` is this user's: in /tmp anybody may have made the place before. */
export function isRuntimeDirOwn(): boolean {
  const place = lstatSync(dirname(runtimeDir()), { throwIfNoEntry: false });
  return place !== undefined && (place.uid === ownId() || place.uid === 0);
}

/**
 * Makes `path`, which is below `runtimeDir()`, and what is above it. Errors: XDPCTL_E_PERMISSION where the place is
 * somebody else's: so would be the sockets there.
 */
export function makeRuntimeDir(path: string): void {
  // Anybody may see which labs root has.
  mkdirSync(runtimeDir(), { recursive: true, mode: ownId() === 0 ? 0o755 : 0o700 });
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isRuntimeDirOwn()) return;
  throw new XdpctlError("XDPCTL_E_PERMISSION", `${dirname(runtimeDir())} is somebody else's`, {
    remedy: "set XDG_RUNTIME_DIR to a directory of your own",
  });
}

/** Takes `path`, which is below `runtimeDir()`, and what is above it away where nothing is in them any more. */
export function tidyRuntimeDir(path: string): void {
  // What is above an ordinary user's may be the session's own.
  const place = ownId() === 0 || process.env.XDG_RUNTIME_DIR ? [] : [dirname(runtimeDir())];
  for (const dir of [path, runtimeDir(), ...place]) {
    try {
      rmdirSync(dir);
    } catch {
      // Something is in it, or it is gone.
      return;
    }
  }
}
