// SPDX-License-Identifier: MIT
import { fstatSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { AF_XDP, getSocketOption, isSealedMemory, SO_DOMAIN, SOL_SOCKET } from "../linux/index.js";
import { checkRingSizes, type RingSizes } from "./ring.js";
import { checkSizes, LINEAR_BYTES } from "./umem-options.js";

/** The variable that tells a program what its descriptors are. */
export const VARIABLE = "XDPCTL_XSK";
export const VERSION = 1;

/** What the kernel doesn't tell whoever holds a socket. Descriptors are those of the program that is started. */
export interface Handover {
  readonly version: typeof VERSION;
  readonly socket: number;
  readonly memory: number;
  /** Keeps the redirect program attached; -1 without one. */
  readonly link: number;
  readonly interface: string;
  readonly ifindex: number;
  readonly queue: number;
  readonly frameSize: number;
  readonly frameCount: number;
  readonly headroom: number;
  readonly unaligned: boolean;
  readonly rings: RingSizes;
  readonly copy: "auto" | "copy" | "zerocopy";
  readonly needWakeup: boolean;
  readonly multiBuffer: boolean;
}

type Kind = (value: unknown) => boolean;
const isCount: Kind = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isFlag: Kind = (value) => typeof value === "boolean";
/** Standard streams are not handed over. */
const isDescriptor: Kind = (value) => Number.isSafeInteger(value) && (value as number) > 2;

const FIELDS: Record<Exclude<keyof Handover, "version">, Kind> = {
  socket: isDescriptor,
  memory: isDescriptor,
  link: (value) => value === -1 || isDescriptor(value),
  interface: (value) => typeof value === "string" && /^[^\s/]{1,15}$/.test(value),
  ifindex: (value) => isCount(value) && value !== 0,
  queue: isCount,
  frameSize: isCount,
  frameCount: isCount,
  headroom: isCount,
  unaligned: isFlag,
  rings: (value) => typeof value === "object" && value !== null,
  copy: (value) => value === "auto" || value === "copy" || value === "zerocopy",
  needWakeup: isFlag,
  multiBuffer: isFlag,
};

function refused(message: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_HANDOVER", message);
}

/** What the environment says of descriptor `fd`; every field is of its kind. Throws XDPCTL_E_HANDOVER. */
export function readHandover(fd: number, text: string | undefined): Handover {
  if (text === undefined) throw refused(`descriptor ${fd} was not handed over: ${VARIABLE} is not set`);
  let value: Partial<Record<keyof Handover, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    throw refused(`${VARIABLE} is no JSON`);
  }
  if (value === null || typeof value !== "object" || value.version !== VERSION)
    throw refused(`${VARIABLE} is not of version ${VERSION}`);
  for (const [name, is] of Object.entries(FIELDS)) {
    const field = value[name as keyof Handover];
    if (field === undefined) throw refused(`${VARIABLE} is incomplete: it has no ${name}`);
    if (!is(field)) throw refused(`${VARIABLE}: ${JSON.stringify(field)} is no ${name}`);
  }
  const given = value as Handover;
  if (given.socket !== fd) throw refused(`descriptor ${fd} is not the socket that was handed over: ${given.socket} is`);
  if (new Set([given.socket, given.memory, given.link]).size < 3) throw refused(`${VARIABLE}: one descriptor twice`);
  return given;
}

/** Whether the descriptors are what they are said to be. Throws XDPCTL_E_HANDOVER and XDPCTL_E_XSK_SIZE. */
export function checkDescriptors({ socket, memory, rings, ...sizes }: Handover): void {
  checkRingSizes(rings);
  checkSizes(sizes);
  const { frameSize, frameCount } = sizes;
  const domain = new Int32Array(1);
  if (getSocketOption(socket, SOL_SOCKET, SO_DOMAIN, domain) < 0 || domain[0] !== AF_XDP)
    throw refused(`descriptor ${socket} is no AF_XDP socket`);
  // A mapping beyond the end of the memory would end this process at the first look.
  if (sizeOf(memory) < frameSize * frameCount + LINEAR_BYTES)
    throw refused(`descriptor ${memory} is no memory of ${frameCount} frames of ${frameSize} bytes`);
  if (!isSealedMemory(memory)) throw refused(`the memory behind descriptor ${memory} may be cut off: it is not sealed`);
}

function sizeOf(fd: number): number {
  try {
    return fstatSync(fd).size;
  } catch {
    throw refused(`descriptor ${fd} is not open`);
  }
}
