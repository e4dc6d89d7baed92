// SPDX-License-Identifier: MIT
import { BpfMap } from "../bpf/index.js";

/** A map that a policy may use: by its name, and by `INTERFACE/NAME` for each interface that it serves. */
export interface PolicyMap {
  readonly name: string;
  /** An open descriptor of this process. */
  readonly fd: number;
  readonly interfaces?: readonly string[];
}

/** The maps in the worker: opened at their first use, and all at once replaced when the programs are. */
export class Maps {
  #maps: readonly PolicyMap[] = [];
  readonly #open = new Map<number, BpfMap>();

  /** Changes with every `set`: what was opened before must not be read any more. */
  generation = 0;

  set(maps: readonly PolicyMap[]): void {
    this.generation++;
    this.#maps = maps;
    this.#open.clear();
  }

  /** Descriptors of all maps of a name: one for each loaded object. */
  fds(name: string): number[] {
    return this.#maps.filter((map) => map.name === name).map((map) => map.fd);
  }

  names(): string[] {
    return [...new Set(this.#maps.map((map) => map.name))];
  }

  /** The first map called `name`, or the one called `INTERFACE/NAME`. */
  get(name: string): BpfMap | undefined {
    const slash = name.indexOf("/");
    const [on, plain] = slash < 0 ? [undefined, name] : [name.slice(0, slash), name.slice(slash + 1)];
    const found = this.#maps.find((m) => m.name === plain && (on === undefined || m.interfaces?.includes(on)));
    return found === undefined ? undefined : this.#opened(found.fd);
  }

  all(name: string): BpfMap[] {
    return this.fds(name).map((fd) => this.#opened(fd));
  }

  #opened(fd: number): BpfMap {
    let map = this.#open.get(fd);
    if (map === undefined) {
      map = BpfMap.fromFd(fd);
      this.#open.set(fd, map);
    }
    return map;
  }
}
