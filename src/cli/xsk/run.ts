// SPDX-License-Identifier: MIT
import { type FrameHandler, Umem, XskSocket, type XskStatistics } from "../../xsk/index.js";
import { usage } from "../command.js";
import { type Context, settle } from "../context.js";
import { formatCompact } from "../quantities.js";
import { layout } from "../table.js";
import { type SocketArguments, xskOptions } from "./options.js";

/** One socket on one interface, served until Ctrl-C, `--count` or `--for`; `--stats` shows it at work. */
export async function serveInterface(
  context: Context,
  name: string,
  given: SocketArguments,
  handler: FrameHandler,
): Promise<void> {
  if (context.kind === "script" && given.count === undefined && given.for === undefined)
    throw usage("in a script, this has no end", "write --count N or --for DURATION");
  const { signal } = context;
  const json = context.terminal.jsonMode;
  const live = await context.live();
  const umem = Umem.create({ frameCount: given.frames, checked: false });
  const timers: NodeJS.Timeout[] = [];
  try {
    const nic = XskSocket.open(umem, name, xskOptions(given));
    const facts = { interface: nic.interface, queue: nic.queue, mode: nic.mode ?? null, copy: nic.copy };
    const because = nic.fallback === undefined ? "" : ` (${nic.fallback})`;
    if (!json) context.terminal.note(`${name}  queue ${nic.queue}  ${nic.mode}${because}  ${nic.copy}`);
    const started = performance.now();
    const show = (last: boolean): void => {
      const { statistics } = nic;
      const seconds = (performance.now() - started) / 1000;
      if (json) live.write(`${JSON.stringify({ ...facts, seconds, ...statistics, ...(last ? { last } : {}) })}\n`);
      else live.write(`${statisticsText(statistics, seconds).join("\n")}\n`);
    };
    if (given.stats !== undefined)
      timers.push(setInterval(() => show(false), 1000 * (given.stats === true ? 1 : given.stats)));
    if (given.for !== undefined) timers.push(setTimeout(() => nic.stop(), 1000 * given.for));
    await nic.serve(counted(nic, handler, given.count), { wait: given.wait, signal });
    show(true);
    nic.close();
    await settle(live.drained(), signal);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    umem.close();
    live.close();
  }
}

/** Ends after so many packets. */
function counted(nic: XskSocket, handler: FrameHandler, count: number | undefined): FrameHandler {
  if (count === undefined) return handler;
  let left = count;
  return (frame) => {
    if (left === 0) return;
    handler(frame);
    if (--left === 0) nic.stop();
  };
}

/** The one table that answers where the packets went. */
function statisticsText(statistics: XskStatistics, seconds: number): string[] {
  const rows: [string, number, string][] = [
    ["received", statistics.received, "from the RX ring"],
    ["sent", statistics.sent, "into the TX ring"],
    ["forwarded", statistics.forwarded, "to another socket"],
    ["taken", statistics.taken, "kept as packets"],
    ["dropped", statistics.dropped, "by the program"],
    ["TX ring full", statistics.txRingFull, "dropped: the kernel did not send fast enough"],
    ["invalid", statistics.invalid, "dropped: empty, or not inside their frame"],
    ["RX ring full", statistics.rxRingFull, "dropped by the kernel: the program was too slow"],
    ["fill ring empty", statistics.fillRingEmpty, "dropped by the kernel: no frame to receive into"],
    ["RX dropped", statistics.rxDropped, "dropped by the kernel: too long for a frame, or other reasons"],
    ["RX invalid", statistics.rxInvalid, "descriptors of the fill ring that the kernel refused"],
    ["TX invalid", statistics.txInvalid, "descriptors of the TX ring that the kernel refused"],
    ["wake-ups", statistics.sendWakeups + statistics.receiveWakeups, "calls of sendto and recvfrom"],
    ["waits", statistics.waits, "times that it slept: poll, a nap, or the event loop"],
  ];
  const rate = (n: number): string => `${formatCompact(n / Math.max(seconds, 0.001))}/s`;
  const always = new Set(["received", "sent", "dropped", "wake-ups"]);
  const shown = rows.filter(([what, n]) => n > 0 || always.has(what));
  return layout(
    [{ title: "PACKETS" }, { title: "COUNT", align: "right" }, { title: "RATE", align: "right" }, { title: "WHERE" }],
    shown.map(([what, n, where]) => [what, n, rate(n), where]),
  );
}
