// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { readBounded } from "../linux/index.js";
import { DEFAULT_LIMITS, MAX_SOURCE, type ScriptUse } from "./messages.js";
import { Shared } from "./shared.js";
import { failureError, PolicyThread } from "./thread.js";

export interface PolicyCheck {
  /** The events that it hooks, and `every`. */
  hooks: string[];
  /** What it uses of what policies can do. */
  uses: string[];
  /** Globals that nobody sets: most likely typos. */
  warnings: string[];
}

const NAMES = [
  "on",
  "every",
  "stop",
  "block",
  "allow",
  "limit",
  "unblock",
  "unallow",
  "unlimit",
  "maps",
  "stats",
  "log",
];
const MORE = [
  "genl",
  "load",
  "unload",
  "now",
  "print",
  "state",
  "args",
  "pairs",
  "ipairs",
  "tonumber",
  "tostring",
  "string",
  "unpack",
  "data",
];

/** The text of a file. Throws XDPCTL_E_NO_FILE. */
function read(file: string): string {
  try {
    return readBounded(file, MAX_SOURCE, { wait: true }).toString();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "unreadable";
    throw new XdpctlError("XDPCTL_E_NO_FILE", `reading the policy ${file}: ${reason}`, { cause });
  }
}

/**
 * Compiles a policy and runs its top level in the sandbox, with functions that do nothing: needs no root, touches no
 * kernel. Reads `file` unless its source is given.
 * @throws XDPCTL_E_NO_FILE, XDPCTL_E_LUA_SYNTAX, XDPCTL_E_LUA_RUNTIME, XDPCTL_E_LUA_TIMEOUT, XDPCTL_E_LUA_MEMORY
 */
export async function checkPolicy(file: string, source = read(file)): Promise<PolicyCheck> {
  if (Buffer.byteLength(source) > MAX_SOURCE)
    throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", `${file} has more than ${MAX_SOURCE} bytes: that is no policy`);
  let error: XdpctlError | undefined;
  let use: ScriptUse | undefined;
  await new Promise<void>((resolve) => {
    new PolicyThread({
      start: {
        kind: "check",
        name: "",
        file: basename(file),
        source,
        args: { positional: [], named: {} },
        maps: [],
        limits: DEFAULT_LIMITS,
        state: undefined,
      },
      shared: Shared.allocate(16),
      message: (message) => {
        if (message.type === "checked") use = message.use;
        else if (message.type === "loaded" && message.failure !== undefined) error = failureError(message.failure);
      },
      ended: (reason) => {
        if (use === undefined) error ??= reason;
        resolve();
      },
    });
  });
  if (error !== undefined) throw error;
  const { hooks, uses, unknown } = use as ScriptUse;
  const warnings = unknown.map(
    ({ name, line }) => `${basename(file)}:${line}: there is no global ${name}${didYouMean(name, [...NAMES, ...MORE])}`,
  );
  return { hooks, uses, warnings };
}
