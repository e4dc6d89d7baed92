// SPDX-License-Identifier: MIT
import { appendFileSync, closeSync, existsSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { decodeRecord } from "../../../linux/index.js";
import { type Accelerator, boot, Guest, type GuestOptions, Relay } from "../../../vm/index.js";
import { type GuestFiles, type GuestRecord, removeSockets, writeJson } from "./files.js";
import { MOST_BOOTS } from "./launch.js";

const LOOK_MS = 500;

/** One guest, from the supervisor's side. */
export interface Charge {
  readonly files: GuestFiles;
  /** What is to be booted; called again for each attempt. `log` tells what is waited for. */
  options(
    log: (doing: string) => void,
    signal: AbortSignal,
  ): Promise<GuestOptions & { readonly missing?: readonly string[] }>;
  /** Makes a guest that has booted what it is for. */
  prepare?(guest: Guest): Promise<void>;
  /** It is ready: what goes on from here, until the function that this returns is called. */
  serve(guest: Guest): () => void;
}

/**
 * Runs one guest to its end: that of the guest, of its plan's file, or SIGTERM. Whatever happens is told in the guest's
 * record; QEMU and virtiofsd end with this process, however that ends.
 */
export async function supervise({ files, options, prepare, serve }: Charge): Promise<void> {
  let record: GuestRecord = { phase: "starting" };
  const tell = (news: Partial<GuestRecord>): void => {
    record = { ...record, ...news };
    // A lab that is gone has no place for it.
    if (existsSync(dirname(files.record))) writeJson(files.record, record);
  };
  const log = (doing: string): void => {
    tell({ doing });
    appendFileSync(files.log, `${doing}\n`);
  };
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(name, () => stop.abort());
  const look = setInterval(() => {
    if (!existsSync(files.plan)) stop.abort();
  }, LOOK_MS);
  const stopped = new Promise<"stopped">((resolve) => {
    stop.signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
  const dmesg = openSync(files.dmesg, "a");
  const start = async (accelerator: Accelerator | undefined): Promise<Guest> => {
    const { missing = [], ...wanted } = await options(log, stop.signal);
    const guest = Guest.start({
      ...wanted,
      ...(accelerator === undefined ? {} : { accelerator }),
      dir: files.dir,
      sockets: files.sockets,
      gdb: files.gdb,
      // Whoever looks for the reason needs it as it is.
      onHang: (error) => tell({ hang: error?.message }),
      onKmsg: (text) => {
        const { time, fromKernel, text: line } = decodeRecord(text);
        // Any process may write what looks like the kernel's words.
        if (fromKernel) writeSync(dmesg, `[${(time / 1e6).toFixed(6).padStart(12)}] ${line}\n`);
      },
    });
    const { name, reason } = guest.accelerator;
    tell({
      phase: "booting",
      image: wanted.kernel.image,
      accelerator: `${name}: ${reason}`,
      qemu: guest.machine.pid,
      missing,
    });
    return guest;
  };
  let guest: Guest | undefined;
  try {
    tell({});
    const booted = await boot({
      attempts: MOST_BOOTS,
      start,
      stopped,
      onRetry: (error, attempt) => {
        appendFileSync(files.log, `boot ${attempt}: ${[error.message, ...error.lines].join("\n")}\n`);
        removeSockets(files.dir);
      },
    });
    if (booted === undefined) return;
    const { hello } = booted;
    guest = booted.guest;
    tell({ kernel: hello.kernel });
    const prepared = await Promise.race([prepare?.(guest), stopped]);
    if (prepared === "stopped") return;
    const relay = await Relay.listen(files.agent, guest.machine.agent, hello);
    const rest = serve(guest);
    tell({ phase: "ready" });
    const end = await Promise.race([guest.whileItLives(guest.machine.ended), stopped]);
    rest();
    relay.close();
    if (end !== "stopped") tell({ phase: "ended", error: guest.machine.death("while the lab ran").toJSON() });
  } catch (error) {
    const phase = record.phase === "ready" ? "ended" : "failed";
    if (!stop.signal.aborted) tell({ phase, error: XdpctlError.wrap(error).toJSON() });
  } finally {
    await guest?.[Symbol.asyncDispose]();
    clearInterval(look);
    closeSync(dmesg);
  }
}
