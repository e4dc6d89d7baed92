// SPDX-License-Identifier: MIT

/** One thing that OpenVPN says of itself: `>STATE:1700000000,CONNECTED,…`, or a `>CLIENT:CONNECT,0,1` with its variables. */
export interface OpenVpnReport {
  readonly kind: string;
  readonly words: readonly string[];
  /** Of what has variables: UPDOWN and CLIENT. */
  readonly env: ReadonlyMap<string, string>;
}

/** Longer lines are none of OpenVPN's. */
const MAX_LINE = 65_536;

/** Makes reports of what comes over a management socket, in whatever pieces. Answers to commands are left out. */
export class OpenVpnReader {
  readonly #report: (report: OpenVpnReport) => void;
  #rest = "";
  #open: { kind: string; words: string[]; env: Map<string, string> } | undefined;

  constructor(report: (report: OpenVpnReport) => void) {
    this.#report = report;
  }

  read(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const match = /^>([A-Z_]+):(.*)$/.exec(line);
    if (match === null) return;
    const [, kind = "", rest = ""] = match;
    const words = rest.split(",");
    if (words[0] === "ENV" && this.#open?.kind === kind) {
      if (rest === "ENV,END") {
        const done = this.#open;
        this.#open = undefined;
        this.#report(done);
        return;
      }
      const [, name = "", value = ""] = /^ENV,([^=]*)=?(.*)$/.exec(rest) ?? [];
      this.#open.env.set(name, value);
      return;
    }
    const one = { kind, words, env: new Map<string, string>() };
    // Variables follow to these, and to no others.
    const hasEnv =
      kind === "UPDOWN" || (kind === "CLIENT" && /^(CONNECT|REAUTH|ESTABLISHED|DISCONNECT)$/.test(words[0] ?? ""));
    if (hasEnv) this.#open = one;
    else this.#report(one);
  }
}
