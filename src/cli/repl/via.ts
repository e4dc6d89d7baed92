// SPDX-License-Identifier: MIT
import type { EchoReply } from "../../netlink/index.js";

/** A kernel module that answers with what it is sent. */
export interface Echo {
  readonly family: string;
  /** Throws XDPCTL_E_NO_FAMILY. */
  find(): unknown;
  echo(text: string): Pick<EchoReply, "text">;
  close(): void;
}

/** Opens the echo of a family of generic netlink. */
export async function openEcho(family: string): Promise<Echo> {
  const { EchoClient } = await import("../../netlink/index.js");
  return new EchoClient(family);
}

/** The lines of a REPL on their way through the kernel: what comes back is Lua, and never a command. */
export class Via {
  readonly #open: (family: string) => Promise<Echo>;
  #echo: Echo | undefined;

  constructor(open: (family: string) => Promise<Echo> = openEcho) {
    this.#open = open;
  }

  /** The family through which lines go; undefined where they go nowhere. */
  get family(): string | undefined {
    return this.#echo?.family;
  }

  /** Throws XDPCTL_E_NO_FAMILY; then it is as it was. */
  async start(family: string): Promise<void> {
    const echo = await this.#open(family);
    try {
      echo.find();
    } catch (error) {
      echo.close();
      throw error;
    }
    this.stop();
    this.#echo = echo;
  }

  stop(): void {
    this.#echo?.close();
    this.#echo = undefined;
  }

  /** What the kernel answers to a line; the line itself where it goes nowhere. */
  through(line: string): string {
    return this.#echo === undefined ? line : this.#echo.echo(line).text;
  }
}
