// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { XdpctlError } from "../../errors/index.js";

/** Runs `lab …` where the lab is: in the process that owns it and started this REPL, or in one of its own. */
export function runLab(args: readonly string[], interactive: boolean): Promise<number> {
  return process.send !== undefined && process.connected ? askOwner(args) : runChild(args, interactive);
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
