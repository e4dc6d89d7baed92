// SPDX-License-Identifier: MIT
import { fstatSync } from "node:fs";
import { XdpctlError } from "../../errors/index.js";
import type { Display } from "./display.js";
import type { Session } from "./session.js";

const LINE_LIMIT = 1 << 20;

/** The lines of standard input as they come: a pipe, a file, /dev/null. Not a line further than it is asked for. */
async function* inputLines(): AsyncGenerator<string> {
  // Node takes a directory for an input that is empty.
  if (fstatSync(0).isDirectory()) throw Object.assign(new Error("a directory"), { code: "EISDIR" });
  let rest = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_LIMIT)
      throw new XdpctlError("XDPCTL_E_USAGE", "a line of standard input is longer than 1 MiB");
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Runs standard input line by line, and ends at the first line that fails, with its exit code. */
export async function runScript(session: Session, display: Display, stopped: AbortSignal): Promise<number> {
  const stop = (): void => {
    session.interrupt();
    process.stdin.destroy();
  };
  stopped.addEventListener("abort", stop);
  let unfinished = "";
  try {
    for await (const line of inputLines()) {
      const outcome = await session.run(line.endsWith("\r") ? line.slice(0, -1) : line);
      await display.settled();
      if (outcome === "exit") return 0;
      unfinished = outcome === "more" ? line : "";
      if (typeof outcome === "number" && outcome !== 0) return outcome;
      if (stopped.aborted) break;
    }
  } catch (error) {
    if (!stopped.aborted) throw inputError(error);
  } finally {
    stopped.removeEventListener("abort", stop);
  }
  if (unfinished !== "" && !stopped.aborted) {
    throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", "standard input ends inside a chunk of Lua", { remedy: "" });
  }
  return 0;
}

function inputError(error: unknown): XdpctlError {
  if (XdpctlError.is(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new XdpctlError("XDPCTL_E_NO_FILE", `reading standard input: ${code ?? message}`, {
    cause: error,
    remedy: "",
  });
}
