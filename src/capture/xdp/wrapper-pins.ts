// SPDX-License-Identifier: MIT
import { existsSync, mkdirSync, rmdirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { BpfProgram, ensureBpffs, findBpffs } from "../../bpf/index.js";
import { namespaceInode } from "../../linux/index.js";
import type { XdpInterface } from "../../xdp/index.js";
import type { CapturePrograms } from "./programs.js";

const NAMES = ["before", "wrapper", "steps"] as const;

/**
 * What a wrapper needs while it is attached, in the BPF file system: `xdpctl/<namespace inode>/capture/<ifindex>/`
 * `{before,wrapper,steps}`. The array of programs is emptied when nobody has it open or pinned.
 */
export class WrapperPins {
  readonly #ifindex: number;
  readonly #inode = namespaceInode();

  constructor(ifindex: number) {
    this.#ifindex = ifindex;
  }

  #directory(bpffs: string): string {
    return join(bpffs, "xdpctl", String(this.#inode), "capture", String(this.#ifindex));
  }

  write(before: BpfProgram, { enter, steps }: CapturePrograms): void {
    const directory = this.#directory(ensureBpffs());
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    before.pin(join(directory, "before"));
    enter.pin(join(directory, "wrapper"));
    steps.pin(join(directory, "steps"));
  }

  /**
   * Puts back what a capture left behind that was killed together with its guardian. To be called when no capture of the
   * interface runs. Returns the name of the program that is back.
   */
  repair(at: XdpInterface): string | undefined {
    const bpffs = findBpffs();
    if (bpffs === undefined || !existsSync(this.#directory(bpffs))) return undefined;
    const directory = this.#directory(bpffs);
    const before = BpfProgram.fromPin(join(directory, "before"));
    const wrapper = BpfProgram.fromPin(join(directory, "wrapper"));
    try {
      if (before === undefined || wrapper === undefined) return undefined;
      const link = at.now();
      if (link === undefined || link.xdp.progId !== wrapper.id) return undefined;
      return at.swap(at.place(), wrapper, before) ? before.name : undefined;
    } finally {
      before?.close();
      wrapper?.close();
      this.remove();
    }
  }

  remove(): void {
    const bpffs = findBpffs();
    if (bpffs === undefined) return;
    const directory = this.#directory(bpffs);
    for (const name of NAMES) {
      if (existsSync(join(directory, name))) unlinkSync(join(directory, name));
    }
    for (let empty = directory, i = 0; i < 4; i++, empty = dirname(empty)) {
      try {
        rmdirSync(empty);
      } catch {
        // Something else is in it, or it was never there.
        return;
      }
    }
  }
}
