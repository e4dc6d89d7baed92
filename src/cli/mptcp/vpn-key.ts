// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { readBounded } from "../../linux/index.js";
import { leaf } from "../command.js";
import type { Context } from "../context.js";

const DAYS = 3650;
const MAX_KEY = 65_536;

/** Options by which OpenVPN shows the key of `file`, and trusts who has the same. Errors: XDPCTL_E_NO_FILE, XDPCTL_E_USAGE. */
export function keyOptions(file: string): string[] {
  let text: string;
  try {
    text = readBounded(file, MAX_KEY).toString();
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = missing ? "there is no such file" : (cause as Error).message;
    throw new XdpctlError("XDPCTL_E_NO_FILE", `${file} can't be read: ${reason}`, {
      cause,
      ...(missing ? { remedy: "`xdpctl mptcp detour key FILE` makes one, for both sides" } : {}),
    });
  }
  try {
    if (!text.includes("PRIVATE KEY-----")) throw new Error("it has no private key");
    const { fingerprint256 } = new X509Certificate(text);
    return ["--cert", file, "--key", file, "--peer-fingerprint", fingerprint256];
  } catch (cause) {
    throw new XdpctlError("XDPCTL_E_USAGE", `${file} is no key of a VPN: ${(cause as Error).message}`, {
      remedy: "`xdpctl mptcp detour key FILE` makes one",
      cause,
    });
  }
}

/** A private key and its certificate, as PEM. */
function makeKey(): string {
  const made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", String(DAYS)];
  const args = ["req", ...made, "-subj", "/CN=xdpctl", "-keyout", "-"];
  const { status, stdout, stderr, error } = spawnSync("openssl", args, { encoding: "utf8" });
  if (error !== undefined) {
    throw new XdpctlError("XDPCTL_E_NO_FILE", "openssl is not installed", {
      remedy: "install the Debian package openssl",
      cause: error,
    });
  }
  if (status === 0) return stdout;
  throw new XdpctlError("XDPCTL_E_TOOL", `openssl ended with status ${status}`, { log: stderr });
}

export function registerDetourKey(detour: Command, context: Context): void {
  leaf(detour, "key <file>", "make the key of a VPN: who has the file may use it, on both sides", [
    ["xdpctl mptcp detour key vpn.key", "copy it to the detour and to its clients"],
  ]).action((file: string) => {
    try {
      writeFileSync(file, makeKey(), { flag: "wx", mode: 0o600 });
    } catch (cause) {
      if (XdpctlError.is(cause)) throw cause;
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
        throw new XdpctlError("XDPCTL_E_OCCUPIED", `${file} is there already`, {
          remedy: "name another file, or remove that one",
          cause,
        });
      }
      throw new XdpctlError("XDPCTL_E_NO_FILE", `${file} can't be written: ${(cause as Error).message}`, { cause });
    }
    context.terminal.line(`${file}: a key for ${DAYS / 365} years; who has it may use the VPN`);
    context.terminal.json({ file });
  });
}
