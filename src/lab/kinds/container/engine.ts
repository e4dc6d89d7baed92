// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { XdpctlError } from "../../../errors/index.js";

/** Longest that a call of the engine may take; what fetches an image gets more. */
const DEADLINE_MS = 60_000;
export const PULL_DEADLINE_MS = 900_000;

export type EngineName = "podman" | "docker";

export interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  /** The engine's own words, without its prefix. */
  readonly reason: string;
}

function isInstalled(name: string): boolean {
  for (const dir of (process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin").split(":")) {
    try {
      accessSync(`${dir}/${name}`, constants.X_OK);
      return true;
    } catch {
      // Not there: the next directory.
    }
  }
  return false;
}

/** Runs the engine, to its end. Errors: XDPCTL_E_TIMEOUT. That the engine refused is in the result. */
export function engine(name: EngineName, args: readonly string[], timeout = DEADLINE_MS): Ran {
  const done = spawnSync(name, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL",
    maxBuffer: 64 << 20,
  });
  if ((done.error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT") {
    const what = `\`${name} ${args.find((word) => !word.startsWith("-")) ?? ""}\``;
    throw new XdpctlError("XDPCTL_E_TIMEOUT", `${what} has not ended for ${timeout / 1000} s, and was killed`);
  }
  const lines = (done.stderr ?? "").split("\n").filter((line) => line.trim() !== "");
  const reason = lines
    .map((line) => line.replace(/^(Error( response from daemon)?:|docker:) */, "").trim())
    .join("\n")
    .trim();
  return { ok: done.status === 0, stdout: done.stdout ?? "", reason: reason || (done.error?.message ?? "no reason") };
}

const INSTALL = "as root: apt-get install --no-install-recommends podman runc";

/** The engine of this machine: podman; else docker where its daemon answers. Errors: XDPCTL_E_NO_ENGINE. */
export function findEngine(): EngineName {
  if (isInstalled("podman")) return "podman";
  const remedy = INSTALL;
  if (!isInstalled("docker")) {
    throw new XdpctlError("XDPCTL_E_NO_ENGINE", "containers need podman or docker, and neither is installed", {
      remedy,
    });
  }
  const { ok, reason } = engine("docker", ["version", "--format", "{{.Server.Version}}"]);
  if (ok) return "docker";
  throw new XdpctlError("XDPCTL_E_NO_ENGINE", `podman is not installed, and docker does not answer: ${reason}`, {
    remedy: `start docker's daemon; or ${INSTALL}`,
  });
}

/** `4.3.1`. */
export function engineVersion(name: EngineName): string {
  return /\d+(\.\d+)+/.exec(engine(name, ["--version"]).stdout)?.[0] ?? "";
}

/** Starts nothing. */
export const installedEngines = (): EngineName[] => (["podman", "docker"] as const).filter(isInstalled);
