// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno, hasCapability } from "../linux/index.js";
import { summarise } from "./verifier.js";

/** Tells a rejection by the verifier from every other failed load, and names its line. */
export function explain(error: XdpctlError, printed: readonly string[]): XdpctlError {
  const said = printed.map((line) => line.replace(/^libbpf: /, ""));
  const log = error.log ?? "";
  const number = error.errno ?? 0;
  if (/processed \d+ insns|Verification failed|^\d+: \(/m.test(log) && number !== errno.ENOMEM) {
    const summary = summarise(log);
    const program = /prog '([^']+)'/.exec(said.join("\n"))?.[1];
    const lines = [summary.source, summary.reason].filter((line) => line !== undefined);
    const name = error.message.replace(/^loading (.*): .*$/, "$1");
    // Without it the verifier refuses what it lets the privileged do: pointers with an offset that it does not know, and
    // whatever could be read by speculation.
    if (!hasCapability("CAP_PERFMON") && !hasCapability("CAP_SYS_ADMIN")) {
      return new XdpctlError(
        "XDPCTL_E_PERMISSION",
        `loading ${name} needs CAP_PERFMON, too (or root): without it the verifier says ${summary.reason}`,
        { errno: number, log },
      );
    }
    return new XdpctlError(
      "XDPCTL_E_VERIFIER",
      `the verifier refused ${program === undefined ? "" : `\`${program}\` in `}${name}`,
      {
        errno: number,
        lines,
        log,
        ...(summary.hint === undefined ? {} : { remedy: `${summary.hint}; \`--verifier-log -\` prints the whole log` }),
      },
    );
  }
  const reason = said.find((line) =>
    /missing BPF prog type|failed to find|can't|unknown|not found|doesn't|invalid|failed/i.test(line),
  );
  const code = number === errno.EPERM ? "XDPCTL_E_PERMISSION" : "XDPCTL_E_LOAD";
  return new XdpctlError(code, error.message, {
    errno: number,
    ...(reason === undefined ? {} : { kernel: reason, lines: [reason] }),
    ...(log === "" ? {} : { log }),
  });
}
