// SPDX-License-Identifier: MIT
import type { BpfMap, BpfProgram, XdpLink } from "../bpf/index.js";
import type { XdpMode } from "./attach.js";

/** One loaded object: a `load` makes one, and its interfaces share it. */
export class Instance {
  readonly program: BpfProgram;
  readonly maps: Record<string, BpfMap>;
  /** What status shows. */
  readonly name: string;
  #users = 0;

  constructor(name: string, program: BpfProgram, maps: Record<string, BpfMap>) {
    this.name = name;
    this.program = program;
    this.maps = maps;
  }

  get id(): number {
    return this.program.id;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  /** Closes the descriptors when the last attachment lets go. */
  release(): void {
    if (--this.#users > 0) return;
    this.program.close();
    for (const map of Object.values(this.maps)) map.close();
  }
}

/** A program of ours on an interface. */
export interface Attachment {
  readonly ifindex: number;
  readonly interface: string;
  readonly mode: XdpMode;
  readonly instance: Instance;
  readonly link: XdpLink;
  /** It stays after this process. */
  readonly pinned: boolean;
}
