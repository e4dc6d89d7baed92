// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { rateText, timeText } from "./amounts.js";
import { type Bench, ReachEnd, runCommand } from "./command.js";
import { failed, type Outcome, passed } from "./outcome.js";
import type { ConnectCheck, PingCheck, ThroughputCheck } from "./spec.js";

/** Milliseconds in which an end of a test connection must have started, also in a slow machine. */
const STARTING_MS = 20_000;
/** ping(8) says so when the machine itself has no way, or its firewall refuses. */
const NO_WAY = /unreachable|not permitted|No route|Required key|Destination address required/i;

/** Echo requests from a machine until `count` are answered, or the time is over. */
export async function ping(bench: Bench, check: PingCheck): Promise<Outcome> {
  const { from, target, address, count, within, fails } = check;
  const seconds = Math.ceil(within / 1000);
  // With -w, ping goes on until `count` answers came, so that one that is lost in the beginning is not the end.
  const argv: [string, ...string[]] = ["ping", "-n", "-i", "0.2", "-c", `${count}`, "-w", `${seconds}`, address];
  const ran = await runCommand(bench, from, argv, { timeout: within, tool: true });
  const output = `${ran.stdout}${ran.stderr}`.trim();
  const answered = ran.status === 0;
  if (answered) {
    const rtt = /time=([\d.]+ ms)/.exec(ran.stdout)?.[1];
    if (!fails) return passed(`${target} answers ${from}${rtt === undefined ? "" : ` in ${rtt}`}`);
    return failed(`${target} answers ${from}, and should not`, output);
  }
  const mute = ran.timedOut || ran.status === 1 || NO_WAY.test(output);
  if (!mute) return failed(`ping in ${from}: ${ran.stderr.trim().split("\n")[0] || `status ${ran.status}`}`, output);
  const came = (ran.stdout.match(/^\d+ bytes from/gm) ?? []).length;
  if (fails && came === 0) return passed(`${target} does not answer ${from}`);
  const got = came === 0 ? "no answer" : `${came} of ${count} answers`;
  return failed(`${from} got ${got} from ${target} within ${timeText(within)}`, output);
}

/** A connection, or a datagram, from a machine to a port. Who is of the lab listens there, unless somebody does already. */
export async function connectTo(bench: Bench, check: ConnectCheck): Promise<Outcome> {
  const { kind, from, target, address, machine, port, within, fails } = check;
  const where = `${target} port ${port}`;
  const token = `xdpctl ${randomBytes(8).toString("hex")}`;
  const listener =
    machine === undefined ? undefined : new ReachEnd(bench, machine, `${kind}-listen`, address, port, 0, token);
  try {
    const free = (await listener?.ready()) !== undefined;
    if (kind === "udp" && !free) return failed(`port ${port} of ${target} is taken by a program that runs there`);
    using sender = new ReachEnd(bench, from, kind === "tcp" ? "tcp-connect" : "udp-send", address, port, within, token);
    // A sender keeps the time itself, from when it runs; a receiver hears nothing of what does not come.
    const first = await sender.line(within + STARTING_MS);
    const line = kind === "tcp" ? first : await listener?.line(within);
    const reached = line === "got" || line === "reached";
    const what = kind === "tcp" ? "a connection" : "a datagram";
    if (reached) {
      if (fails) return failed(`${what} from ${from} reaches ${where}, and should not`);
      return passed(`${what} from ${from} reaches ${where}`);
    }
    const why = line === undefined ? "" : `: ${line.replace(/^error /, "")}`;
    if (fails) return passed(`${from} does not reach ${where}${why}`);
    return failed(`${from} does not reach ${where} within ${timeText(within)}${why}`);
  } finally {
    listener?.close();
  }
}

/** What one TCP connection carries, measured where it arrives. */
export async function throughput(bench: Bench, check: ThroughputCheck): Promise<Outcome> {
  const { from, to, address, rate, duration, within } = check;
  using sink = new ReachEnd(bench, to, "sink", address, 0, duration);
  const port = await sink.ready();
  if (port === undefined) return failed(`${to} has no free port`);
  using source = new ReachEnd(bench, from, "source", address, port, duration);
  // The time that is waited for a connection, beside what is measured.
  const line = await Promise.race([sink.line(Math.min(within, duration + 5000)), source.line(within)]);
  const measured = /^bytes (\d+) ms ([\d.]+)$/.exec(line ?? "");
  if (measured === null) {
    const why = line === undefined ? "nothing arrives" : line.replace(/^error /, "");
    return failed(`${from} sends nothing to ${to}: ${why}`);
  }
  const bits = (Number(measured[1]) * 8000) / Number(measured[2]);
  const text = `${rateText(bits)} from ${from} to ${to}`;
  return bits >= rate ? passed(text) : failed(`${text}, which is less than ${rateText(rate)}`);
}
