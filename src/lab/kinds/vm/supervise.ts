// SPDX-License-Identifier: MIT
import { appendFileSync, closeSync, existsSync, openSync, readFileSync, watch, writeSync } from "node:fs";
import { dirname } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { decodeRecord } from "../../../linux/index.js";
import { boot, Guest, Relay, resolveKernel } from "../../../vm/index.js";
import { configureGuest, writeGuestHosts } from "./configure.js";
import { serveConsoles } from "./console-shell.js";
import { type GuestPlan, type GuestRecord, guestFiles, removeSockets, writeJson } from "./files.js";
import { MASQUERADE_MODULES } from "./setup.js";
import { isModuleFile, MOST_BOOTS } from "./start.js";

const LOOK_MS = 500;

/**
 * Runs one guest of a lab, to its end: that of the guest, of the lab, or SIGTERM. Whatever happens is told in the guest's
 * record; QEMU and virtiofsd end with this process, however that ends.
 */
export async function superviseGuest(planPath: string): Promise<void> {
  const plan = JSON.parse(readFileSync(planPath, "utf8")) as GuestPlan;
  const files = guestFiles(plan.lab, plan.node.name);
  let record: GuestRecord = { phase: "starting" };
  const tell = (news: Partial<GuestRecord>): void => {
    record = { ...record, ...news };
    // A lab that is gone has no place for it.
    if (existsSync(dirname(files.record))) writeJson(files.record, record);
  };
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(name, () => stop.abort());
  const look = setInterval(() => {
    if (!existsSync(planPath)) stop.abort();
  }, LOOK_MS);
  const stopped = new Promise<"stopped">((resolve) => {
    stop.signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
  const dmesg = openSync(files.dmesg, "a");
  let guest: Guest | undefined;
  try {
    tell({});
    const booted = await boot({
      attempts: MOST_BOOTS,
      start: () => start(plan, tell, dmesg, stop.signal),
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
    const configured = await Promise.race([configureGuest(guest, plan), stopped]);
    if (configured === "stopped") return;
    const relay = await Relay.listen(files.agent, guest.machine.agent, hello);
    const running = guest;
    const hosts = watch(plan.hosts, () => void writeGuestHosts(running, plan).catch(() => undefined));
    tell({ phase: "ready" });
    serveConsoles(guest, plan);
    const end = await Promise.race([guest.whileItLives(guest.machine.ended), stopped]);
    hosts.close();
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

async function start(
  plan: GuestPlan,
  tell: (news: Partial<GuestRecord>) => void,
  dmesg: number,
  signal: AbortSignal,
): Promise<Guest> {
  const { vm, node } = plan;
  const files = guestFiles(plan.lab, node.name);
  const log = (doing: string): void => {
    tell({ doing });
    appendFileSync(files.log, `${doing}\n`);
  };
  const kernel = await resolveKernel(vm.kernel, { log, signal });
  const named = vm.modules.filter((name) => !isModuleFile(name));
  const guest = Guest.start({
    kernel,
    ...(vm.root === undefined ? {} : { root: vm.root }),
    dir: files.dir,
    hostName: node.name,
    memory: vm.memory,
    cpus: vm.cpus,
    networks: plan.nics.map(({ bridge, mac }) => ({ kind: "bridge", bridge, mac, dhcp: false, offloads: false })),
    modules: [...(node.masquerade.length > 0 ? MASQUERADE_MODULES : []), ...named],
    moduleFiles: vm.modules.filter(isModuleFile),
    sockets: files.sockets,
    gdb: files.gdb,
    unmounted: plan.unmounted,
    onKmsg: (text) => {
      const { time, fromKernel, text: line } = decodeRecord(text);
      // Any process may write what looks like the kernel's words.
      if (fromKernel) writeSync(dmesg, `[${(time / 1e6).toFixed(6).padStart(12)}] ${line}\n`);
    },
  });
  const { name, reason } = guest.accelerator;
  tell({ phase: "booting", image: kernel.image, accelerator: `${name}: ${reason}`, qemu: guest.machine.pid });
  return guest;
}
