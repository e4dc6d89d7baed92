// SPDX-License-Identifier: MIT
import { randomInt } from "node:crypto";
import { XdpctlError } from "../errors/index.js";
import type { Detour } from "./detour.js";

/** The ports that are chosen from: those that IANA leaves to everyone. */
export const DYNAMIC_PORTS = { first: 49_152, last: 65_535 } as const;
const TRIES = 64;

export interface DetourTableOptions {
  /** Makes the detour in the kernel; what it throws keeps the detour out of the table. */
  add(detour: Detour): void;
  /** Ports that are never given: something else of this host is there. */
  isReserved?(port: number): boolean;
  /** Detours at most, of all clients; 1024 by default. */
  max?: number;
}

/** Which client reaches which remote by which port: the same question gets the same answer, and no port has two meanings. */
export class DetourTable {
  readonly #options: DetourTableOptions;
  readonly #byRemote = new Map<string, Detour>();
  readonly #byPort = new Map<string, Detour>();

  constructor(options: DetourTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byRemote.size;
  }

  /**
   * The detour of a client to a remote, new or old. `wish` is the port that it would like, 0 for any; one that is taken
   * or reserved becomes a free one of 49152 to 65535. Errors: XDPCTL_E_MAP_FULL, and those of `add`.
   */
  find(client: string, remote: string, remotePort: number, wish: number): { detour: Detour; fresh: boolean } {
    const key = `${client} ${remote} ${remotePort}`;
    const old = this.#byRemote.get(key);
    if (old !== undefined) return { detour: old, fresh: false };
    const { max = 1024 } = this.#options;
    const full = (): never => {
      throw new XdpctlError("XDPCTL_E_MAP_FULL", `there are ${this.size} detours already`, {
        remedy: "start the detour server anew",
      });
    };
    if (this.size >= max) full();
    const port = this.#isFree(client, wish) ? wish : (this.#choose(client) ?? full());
    const detour = { client, remote, remotePort, port };
    this.#options.add(detour);
    this.#byRemote.set(key, detour);
    this.#byPort.set(`${client} ${port}`, detour);
    return { detour, fresh: true };
  }

  #isFree(client: string, port: number): boolean {
    return port !== 0 && !this.#byPort.has(`${client} ${port}`) && this.#options.isReserved?.(port) !== true;
  }

  #choose(client: string): number | undefined {
    for (let i = 0; i < TRIES; i++) {
      const port = randomInt(DYNAMIC_PORTS.first, DYNAMIC_PORTS.last + 1);
      if (this.#isFree(client, port)) return port;
    }
    return undefined;
  }
}
