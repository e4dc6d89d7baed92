// SPDX-License-Identifier: MIT
import {
  adoptSocket,
  scavengeOnOneThread,
  type FrameHandler,
  type ServeOptions,
  Umem,
  type Wait,
  type XskOptions,
  XskSocket,
} from "../../xsk/index.js";
import { usage } from "../command.js";
import { type Context, type Live, settle } from "../context.js";
import { needsEnd, type ServeArguments, ruleOf, type SocketArguments, xskOptions } from "./options.js";
import { type Counts, placeOf, Report } from "./report.js";

/** What is done with the frames of one interface. */
export interface Side {
  readonly handler: FrameHandler;
  /** Counted by the handler; shown with the socket's own counters. */
  readonly counts?: Counts;
}

export interface Work {
  /** In the order of the interfaces. */
  readonly sides: readonly Side[];
  /** Ends what runs beside the sockets. */
  close?(): void;
}

/** Says what is done, once the sockets are open. */
type Begin = (nics: readonly XskSocket[], live: Live) => Work | Promise<Work>;

/** The socket that was handed over; close its UMEM. */
export function adopted(name: string, fd: number): XskSocket {
  const nic = adoptSocket(fd);
  if (nic.interface === name) return nic;
  nic.umem.close();
  throw usage(`descriptor ${fd} is a socket on ${nic.interface}, not on ${name}`);
}

/** A socket with a UMEM of its own, or the one that was handed over; close its UMEM. */
export function openSocket(name: string, given: SocketArguments): XskSocket {
  const [nic] = openSockets([name], given, given);
  return nic as XskSocket;
}

/** One socket on each interface, on one UMEM: close that. */
function openSockets(names: readonly string[], given: ServeArguments, picked?: SocketArguments): readonly XskSocket[] {
  const [name = ""] = names;
  if (picked?.fd !== undefined) {
    const { queue, mode, copy, jumbo = false } = given;
    if (queue !== 0 || mode !== "auto" || copy !== "auto" || jumbo || ruleOf(picked) !== undefined)
      throw usage(
        "a socket that was handed over is as it is",
        "give --queue, --mode, --copy, --jumbo and filters to `xdpctl xsk open`",
      );
    return [adopted(name, picked.fd)];
  }
  const umem = Umem.create({ frameCount: given.frames, frameSize: given.frameSize, checked: false });
  try {
    return names.map((one) => XskSocket.open(umem, one, openOptions(given, names.length, picked)));
  } catch (error) {
    umem.close();
    throw error;
  }
}

/** One socket on one interface, served until Ctrl-C, `--count` or `--for`; `--stats` shows it at work. */
export async function serveInterface(
  context: Context,
  name: string,
  given: SocketArguments,
  handler: FrameHandler,
  counts: Counts = {},
): Promise<void> {
  await serveInterfaces(context, [name], given, () => ({ sides: [{ handler, counts }] }), given);
}

/**
 * One socket on each of the interfaces, all on one UMEM, so that frames go from one to the other without a copy. `picked`
 * says which frames they take, and how one that is alone waits.
 */
export async function serveInterfaces(
  context: Context,
  names: readonly string[],
  given: ServeArguments,
  begin: Begin,
  picked?: SocketArguments,
): Promise<void> {
  needsEnd(context, given);
  if (new Set(names).size !== names.length) throw usage("the same interface twice", "name two");
  const json = context.terminal.jsonMode;
  // Signals are heard before there is anything to take away.
  const live = await context.live();
  const timers: NodeJS.Timeout[] = [];
  let work: Work | undefined;
  let nics: readonly XskSocket[] = [];
  try {
    nics = openSockets(names, given, picked);
    if (!json) for (const nic of nics) context.terminal.note(described(nic));
    work = await begin(nics, live);
    const { sides } = work;
    scavengeOnOneThread();
    const counted = nics.map((nic, i) => ({ nic, counts: sides[i]?.counts ?? {} }));
    const report = new Report(live, json, counted);
    const stop = (): void => nics.forEach((nic) => void nic.stop());
    if (given.stats !== undefined)
      timers.push(setInterval(() => report.show(false), 1000 * (given.stats === true ? 1 : given.stats)));
    if (given.for !== undefined) timers.push(setTimeout(stop, 1000 * given.for));
    try {
      const handlers = sides.map(({ handler }) => handler);
      const limit = given.count === undefined ? undefined : { left: given.count };
      await serveAll(context, nics, handlers, { wait: picked?.wait, limit, stop });
      await sentAll(nics);
    } finally {
      // Also where an interface went away: the numbers up to then are what there is.
      report.show(true);
    }
    for (const nic of nics) nic.close();
    await settle(live.drained(), context.signal);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    work?.close?.();
    nics[0]?.umem.close();
    live.close();
  }
}

/** Half of the frames stay free for what is made and sent, however many sockets receive. */
function openOptions(given: ServeArguments, sockets: number, picked: SocketArguments | undefined): XskOptions {
  const options = xskOptions(given, picked === undefined ? undefined : ruleOf(picked));
  const fill = 2 ** Math.floor(Math.log2(Math.max(2 * sockets, given.frames) / (2 * sockets)));
  return { ...options, rings: { fill: Math.min(given.ring, fill), ...options.rings } };
}

function described(nic: XskSocket): string {
  const { interface: name, queue, mode, copy } = placeOf(nic);
  return `${name}  queue ${queue}  ${mode ?? "handed over"}${nic.fallback === undefined ? "" : ` (${nic.fallback})`}  ${copy}`;
}

interface Serving {
  readonly wait: Wait | undefined;
  /** Packets of all sockets together. */
  readonly limit: { left: number } | undefined;
  readonly stop: () => void;
}

/** Each waits in the event loop, unless one that is alone shall wait otherwise. */
async function serveAll(
  context: Context,
  nics: readonly XskSocket[],
  handlers: readonly FrameHandler[],
  { wait = "loop", limit, stop }: Serving,
): Promise<void> {
  const { signal } = context;
  const options: ServeOptions = {
    wait,
    signal,
    ...(limit === undefined ? {} : { limit }),
    ...(wait === "loop" ? { loop: await context.loop() } : {}),
  };
  const one = async (nic: XskSocket, handler: FrameHandler): Promise<void> => {
    await nic.serve(handler, options);
    // The others look at it only when a frame comes.
    if (limit?.left === 0) stop();
  };
  await Promise.all(nics.map((nic, i) => one(nic, handlers[i] as FrameHandler)));
}

const PATIENCE_MS = 1000;

/** Waits a moment for what is still being sent, so that the last numbers add up. */
async function sentAll(nics: readonly XskSocket[]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    for (const nic of nics) {
      // Of no packets: the first asks the kernel to go on sending, the second takes back what it has sent.
      nic.produce(0, () => {});
      nic.receive(0);
    }
    if (nics.every((nic) => nic.statistics.sending === 0) || performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
