// SPDX-License-Identifier: MIT
import { closeFd, dupFd } from "../linux/index.js";
import type { PolicyMap } from "./maps.js";

/**
 * Copies of the descriptors that a worker uses: they stay open until the worker has taken newer ones, so that a program
 * may be replaced, and its maps closed, at any time.
 */
export class HeldMaps {
  #current: PolicyMap[] = [];
  #retired: { generation: number; maps: PolicyMap[] }[] = [];
  #generation = 0;

  get maps(): readonly PolicyMap[] {
    return this.#current;
  }

  /** Takes copies of new maps; returns the number under which the worker confirms them. */
  replace(maps: readonly PolicyMap[]): number {
    const copies: PolicyMap[] = [];
    try {
      for (const map of maps) copies.push({ ...map, fd: dupFd(map.fd) });
    } catch (error) {
      close(copies);
      throw error;
    }
    this.#generation++;
    this.#retired.push({ generation: this.#generation, maps: this.#current });
    this.#current = copies;
    return this.#generation;
  }

  /** The worker uses this generation (or, without a number, has ended): older ones are closed. */
  confirm(generation = this.#generation): void {
    for (const old of this.#retired) if (old.generation <= generation) close(old.maps);
    this.#retired = this.#retired.filter((old) => old.generation > generation);
  }

  close(): void {
    this.confirm();
    close(this.#current);
    this.#current = [];
  }
}

function close(maps: readonly PolicyMap[]): void {
  for (const { fd } of maps) closeFd(fd);
}
