// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import { timeText } from "./amounts.js";
import { type Bench, type Ran, runCommand } from "./command.js";
import { failed, type Outcome, passed, until } from "./outcome.js";
import type { ExecCheck, MapCheck, OutputSpec, PlainValue, XdpCheck } from "./spec.js";

/** Time for one command of xdpctl itself, also in a slow machine. */
const OWN_MS = 30_000;
/** Classes of errors that tell how things are, and not that the check can't be done. */
const TELLING: readonly string[] = ["not-found"];

export const commandText = (argv: readonly string[]): string =>
  argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");

/** How a command ended, in words. */
export function endText(ran: Ran, timeout: number): string {
  if (ran.timedOut) return `still ran after ${timeText(timeout)}`;
  return ran.status === null ? `was ended by ${ran.signal}` : `ended with ${ran.status}`;
}

/** Both outputs, for a reader. */
export function outputText({ stdout, stderr }: Ran): string {
  return [stdout, stderr]
    .map((text) => text.trimEnd())
    .join("\n")
    .trim();
}

const cut = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text);

function differs(name: string, output: string, wanted: OutputSpec | undefined): string | undefined {
  if (wanted === undefined) return undefined;
  const text = output.replace(/\n$/, "");
  const has = `${name} is ${JSON.stringify(cut(text))}`;
  if (wanted.equals !== undefined && text !== wanted.equals) return `${has}, not ${JSON.stringify(cut(wanted.equals))}`;
  if (wanted.contains !== undefined && !text.includes(wanted.contains)) {
    return `${has}, without ${JSON.stringify(cut(wanted.contains))}`;
  }
  if (wanted.matches !== undefined && !new RegExp(wanted.matches, "m").test(text)) {
    return `${has}, which /${wanted.matches}/ does not match`;
  }
  return undefined;
}

/** A command in a machine: its exit status and outputs. */
export async function execute(bench: Bench, check: ExecCheck): Promise<Outcome> {
  const ran = await runCommand(bench, check.on, check.exec, { timeout: check.within });
  const what = `\`${cut(commandText(check.exec))}\` on ${check.on}`;
  if (ran.status !== check.status) {
    const wanted = check.status === 0 || ran.timedOut ? "" : `, not with ${check.status}`;
    return failed(`${what} ${endText(ran, check.within)}${wanted}`, outputText(ran));
  }
  const wrong = differs("stdout", ran.stdout, check.stdout) ?? differs("stderr", ran.stderr, check.stderr);
  if (wrong !== undefined) return failed(`${what}: ${wrong}`, outputText(ran));
  return passed(`${what} ${endText(ran, check.within)}`);
}

/** What `xdpctl …` in a machine answers as JSON; its error is thrown as it was there. */
async function own<T>(bench: Bench, node: string, args: readonly string[]): Promise<T> {
  const ran = await runCommand(bench, node, ["xdpctl", ...args, "--json"], { timeout: OWN_MS, tool: true });
  if (ran.status === 0) return JSON.parse(ran.stdout) as T;
  let error: unknown;
  try {
    error = (JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "") as { error: unknown }).error;
  } catch {
    const reason = outputText(ran) || endText(ran, OWN_MS);
    throw new XdpctlError("XDPCTL_E_INTERNAL", `\`xdpctl ${args.join(" ")}\` on ${node}: ${reason}`);
  }
  throw XdpctlError.from(error as Parameters<typeof XdpctlError.from>[0]);
}

interface Status {
  interfaces: {
    program: string | null;
    mode: string | null;
    owner: string | null;
    counters: Record<string, { packets: number | string }> | null;
  }[];
}

/** The program on an interface, and how many packets it gave a verdict, as `xdpctl status` has them. */
export function xdp(bench: Bench, check: XdpCheck): Promise<Outcome> {
  const { on, interface: name, program, verdict, atLeast, atMost } = check;
  return until(check, bench.signal, async () => {
    const { interfaces } = await own<Status>(bench, on, ["status", name]);
    const [found] = interfaces;
    const where = `${on}:${name}`;
    if (found?.program == null) return failed(`${where} has no program`);
    if (program !== undefined && found.program !== program) {
      return failed(`${where} has ${found.program}, not ${program}`);
    }
    if (verdict === undefined) return passed(`${where} has ${found.program} (${found.mode})`);
    const count = found.counters?.[verdict]?.packets;
    if (count === undefined) return failed(`nobody counts the verdicts of ${found.program} on ${where}`);
    const text = `${where}: ${found.program} has ${count} × ${verdict.toUpperCase()}`;
    if (atLeast !== undefined && BigInt(count) < BigInt(atLeast)) return failed(`${text}, not at least ${atLeast}`);
    if (atMost !== undefined && BigInt(count) > BigInt(atMost)) return failed(`${text}, not at most ${atMost}`);
    return passed(text);
  });
}

/** An entry of a map, as `xdpctl map get` has it. */
export function map(bench: Bench, check: MapCheck): Promise<Outcome> {
  const { on, value } = check;
  const key = typeof check.key === "object" ? JSON.stringify(check.key) : String(check.key);
  const what = `${check.map}[${key}] on ${on}`;
  return until(check, bench.signal, async () => {
    try {
      const entry = await own<{ value: unknown }>(bench, on, ["map", "get", check.map, key]);
      const text = `${what} is ${JSON.stringify(entry.value)}`;
      if (value === undefined || holds(entry.value, value)) return passed(text);
      return failed(`${text}, not ${JSON.stringify(value)}`);
    } catch (error) {
      if (!XdpctlError.is(error) || !TELLING.includes(error.class)) throw error;
      return failed(`${what}: ${error.message}`);
    }
  });
}

/** Whether an entry's value is the one that is wanted: of a structure, the fields that are given; of per-CPU values, the sum. */
function holds(value: unknown, wanted: PlainValue): boolean {
  if (Array.isArray(value) && typeof wanted !== "object") {
    if (value.every((one) => /^-?\d+$/.test(String(one)))) {
      return value.reduce<bigint>((sum, one) => sum + BigInt(String(one)), 0n) === BigInt(Number(wanted));
    }
  }
  if (typeof wanted !== "object") return String(value) === String(wanted);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(wanted).every(
    ([name, one]) => String((value as Record<string, unknown>)[name]) === String(one),
  );
}
