// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import { IP_PROTOCOL } from "../protocol.js";
import { FrameView } from "../views/frame.js";
import type { Span } from "../views/span.js";
import { WordSearch } from "./search.js";

export interface TcpWordOptions {
  /** Source or destination. */
  readonly port: number;
  /** Text is UTF-8. */
  readonly word: string | Uint8Array;
}

/**
 * Tells of TCP segments from or to a port whether their payload has a word. It looks at segments one by one: a word that
 * is cut by the border of two is not seen, nor one in a fragment or under TLS.
 */
export class TcpWordFilter {
  readonly #port: number;
  readonly #search: WordSearch;
  readonly #frame = new FrameView();

  /** @throws XDPCTL_E_USAGE for an empty word, or a port that is none. */
  constructor({ port, word }: TcpWordOptions) {
    if (!Number.isInteger(port) || port < 1 || port > 65535)
      throw new XdpctlError("XDPCTL_E_USAGE", `${port} is not a port: they are 1 to 65535`);
    this.#port = port;
    this.#search = new WordSearch(word);
  }

  matches({ bytes, start, end }: Span): boolean {
    const frame = this.#frame;
    if (!frame.at(bytes, start, end) || frame.transport !== IP_PROTOCOL.TCP) return false;
    const { tcp } = frame;
    if (tcp.sport !== this.#port && tcp.dport !== this.#port) return false;
    return this.#search.find(bytes, tcp.payloadStart, tcp.payloadEnd) >= 0;
  }
}
