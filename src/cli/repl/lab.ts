// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { XdpctlError } from "../../errors/index.js";

/**
 * Runs `lab …` where the lab is: in the process that owns it and started this REPL, on the host of the guest that this is, or
 * in a process of its own.
 */
export async function runLab(args: readonly string[], interactive: boolean): Promise<number> {
  if (process.send !== undefined && process.connected) return await askOwner(args);
  const { errandPort, runErrand } = await import("../../lab/index.js");
  const port = errandPort();
  if (port === undefined) return await runChild(args, interactive);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.on("SIGINT", interrupt);
  try {
    return await runErrand(port, args, { output: process.stdout, errors: process.stderr, signal: stop.signal });
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function askOwner(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      process.off("message", answer);
      process.off("disconnect", gone);
    };
    const answer = (message: unknown): void => {
      const { code } = (message ?? {}) as { code?: unknown };
      if (typeof code !== "number") return;
      done();
      resolve(code);
    };
    const gone = (): void => {
      done();
      reject(
        new XdpctlError("XDPCTL_E_DISCONNECTED", "the owner of the lab is gone", { remedy: "leave, start it anew" }),
      );
    };
    process.on("message", answer);
    process.once("disconnect", gone);
    process.send?.({ lab: [...args] }, (error: Error | null) => {
      if (error !== null) gone();
    });
  });
}

function runChild(args: readonly string[], interactive: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? "", "lab", ...args], {
      // In a script, standard input holds the lines that come next.
      stdio: [interactive ? "inherit" : "ignore", "inherit", "inherit"],
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}
