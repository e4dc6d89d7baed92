// SPDX-License-Identifier: MIT
import { type BpfMap, BpfObject, type BpfProgram, builtinPath, readObjectSpec } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { namespaceInode } from "../linux/index.js";
import {
  attach,
  type ModeRequest,
  noCounts,
  readCounts,
  type VerdictCounts,
  type XdpAttachment,
} from "../xdp/index.js";
import { findInterface } from "./interface.js";
import { encodeRule, MOST_RULES, type RedirectRule } from "./rule.js";

export interface RedirectOptions {
  mode?: ModeRequest;
  rules?: readonly RedirectRule[];
  multiBuffer?: boolean;
}

/** The rules that a caller's `filter` is. */
export function redirectRules(filter: RedirectRule | readonly RedirectRule[] | undefined): readonly RedirectRule[] {
  if (filter === undefined) return [];
  return Array.isArray(filter) ? (filter as RedirectRule[]) : [filter as RedirectRule];
}

/** Programs of this process, by network namespace and interface: the queues of an interface share one. */
const living = new Map<string, Redirect>();

/**
 * The program that gives an interface's frames to AF_XDP sockets (bpf/xsk.bpf.c): what no rule picks, and what comes in by a
 * queue without a socket, goes on to the network stack. It is gone with the last socket, or with the process.
 */
export class Redirect {
  readonly attachment: XdpAttachment;
  readonly #object: BpfObject;
  readonly #xsks: BpfMap;
  readonly #key: string;
  readonly #options: string;
  #users = 0;

  private constructor(key: string, options: string, object: BpfObject, attachment: XdpAttachment) {
    this.#key = key;
    this.#options = options;
    this.#object = object;
    this.attachment = attachment;
    this.#xsks = object.maps.xsks as BpfMap;
  }

  /**
   * The program of an interface of this namespace, attached where it is not yet. Let it go by `release`. Errors: those of
   * `attach`; XDPCTL_E_OCCUPIED where this process has attached it with other options.
   */
  static retain(name: string, ifindex: number, options: RedirectOptions): Redirect {
    const key = `${namespaceInode()}:${ifindex}`;
    const wanted = JSON.stringify([options.mode ?? "auto", options.rules ?? [], options.multiBuffer === true]);
    let found = living.get(key);
    if (found === undefined) {
      found = Redirect.#attach(key, wanted, name, options);
      living.set(key, found);
    } else if (found.#options !== wanted) {
      throw new XdpctlError("XDPCTL_E_OCCUPIED", `another socket has set ${name} up with another mode or other rules`, {
        remedy: "the sockets of an interface share one program: give them the same mode, filter and multiBuffer",
      });
    }
    found.#users++;
    return found;
  }

  static #attach(key: string, wanted: string, name: string, options: RedirectOptions): Redirect {
    const rules = options.rules ?? [];
    if (rules.length > MOST_RULES)
      throw new XdpctlError("XDPCTL_E_USAGE", `${rules.length} rules: a filter has ${MOST_RULES} at the most`);
    const encoded = rules.map(encodeRule);
    const object = BpfObject.loadSpec(readObjectSpec(builtinPath("xsk"), "xsk.bpf.o"), {
      variables: { rule_count: rules.length, multi_buffer: options.multiBuffer === true },
      maxEntries: { xsks: findInterface(name).queues },
    });
    try {
      const { xsk } = object.programs;
      if (xsk === undefined) throw new XdpctlError("XDPCTL_E_NO_PROGRAM", "xsk.bpf.o has no program xsk");
      for (const [i, rule] of encoded.entries()) object.maps.rules?.setBytes(u32(i), rule);
      return new Redirect(key, wanted, object, attachFirst(xsk, name, options.mode ?? "auto"));
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** What comes in by `queue` goes to the socket from now on. */
  direct(queue: number, fd: number): void {
    directTo(this.#xsks, queue, fd);
  }

  undirect(queue: number): void {
    this.#xsks.deleteBytes(u32(queue));
  }

  /** The program's own counters: what it redirected, and what it left to the network stack. */
  counts(): VerdictCounts | undefined {
    const { stats, redirected } = this.#object.maps;
    if (stats === undefined || redirected === undefined) return undefined;
    const counts = readCounts(stats).get(this.attachment.ifindex) ?? noCounts();
    // struct counter of each CPU.
    const all = redirected.getBytes(u32(0)) ?? Buffer.alloc(0);
    for (let at = 0; at + 16 <= all.length; at += 16) {
      counts.redirect.packets += all.readBigUInt64LE(at);
      counts.redirect.bytes += all.readBigUInt64LE(at + 8);
    }
    return counts;
  }

  release(): void {
    if (--this.#users > 0) return;
    living.delete(this.#key);
    this.attachment.close();
    this.#object.close();
  }
}

/** Nothing of somebody else's is replaced. */
function attachFirst(program: BpfProgram, name: string, mode: ModeRequest): XdpAttachment {
  try {
    return attach(program, name, { mode });
  } catch (error) {
    if (!XdpctlError.is(error, "XDPCTL_E_OCCUPIED")) throw error;
    throw new XdpctlError("XDPCTL_E_OCCUPIED", error.message, {
      cause: error,
      remedy: `end the program that holds it, or \`xdpctl unload ${name} --force\`; \`xdpctl status\` shows what it is`,
    });
  }
}

/** Puts a socket into an XSKMAP. */
export function directTo(map: BpfMap, queue: number, fd: number): void {
  map.setBytes(u32(queue), u32(fd));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
