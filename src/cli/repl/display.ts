// SPDX-License-Identifier: MIT
import type { Interface } from "node:readline";
import { Writable } from "node:stream";
import { isatty } from "node:tty";
import { type Loop, Output } from "../../loop/index.js";
import type { Sink } from "../console.js";
import { ENOUGH, type Live } from "../context.js";
import { liveOn } from "../live.js";

/** Characters of one piece of a long result. */
const PIECE = 32_768;
/** Dots of one line. */
const DOTS = 60;
/** Lines that wait while another program has the terminal. */
const HELD = 1000;

/**
 * The REPL's screen. Results are never dropped and never waited for by the loop; live lines are bounded, and appear
 * above the prompt, with what was typed so far drawn again below them.
 */
export class Display implements Sink {
  readonly interactive: boolean;
  /** Called once when the reader of standard output is gone. */
  onClosed: (() => void) | undefined;
  readonly #out: Output;
  readonly #err: Output | undefined;
  #results: string[] = [];
  #pumping: Promise<void> | undefined;
  #busy = false;
  #closed = false;
  #readline: Interface | undefined;
  #held: string[] | undefined;
  /** Dots on the line above the prompt, or on the last line where there is none. */
  #dots = 0;

  constructor(loop: Loop, interactive: boolean) {
    this.interactive = interactive;
    this.#out = new Output(loop, 1, { limit: 4 << 20 });
    // On a terminal, errors belong between the lines that they are about.
    this.#err = interactive && isatty(2) ? undefined : new Output(loop, 2, { limit: 4 << 20 });
    this.#out.onClosed = () => {
      this.#closed = true;
      this.onClosed?.();
    };
  }

  columns(): number | undefined {
    return isatty(1) ? process.stdout.columns : undefined;
  }

  /** A result: all of it will be written, after what was printed before. */
  out(text: string): void {
    if (this.#closed) return;
    this.#endDots();
    if (
      this.#readline !== undefined &&
      this.#held === undefined &&
      text.length <= PIECE &&
      this.#results.length === 0
    ) {
      this.#above(text);
      return;
    }
    for (let at = 0; at < text.length; at += PIECE) this.#results.push(text.slice(at, at + PIECE));
    if (!this.#busy) this.#pumping = this.#pump();
  }

  err(text: string): void {
    if (this.#err === undefined) this.out(text);
    else this.#err.write(text);
  }

  /** Live lines: dropped and counted when the reader is too slow. */
  live(text: string): void {
    if (this.#closed) return;
    this.#endDots();
    if (this.#held === undefined) this.#above(text);
    else if (this.#held.length < HELD) this.#held.push(text);
  }

  /** One more dot: on a line above the prompt, or after the last one; none while a command has the screen. */
  dot(): void {
    if (this.#closed || this.#held !== undefined || this.#out.queued > 0) return;
    const readline = this.#prompt;
    if (readline === undefined) {
      if (this.interactive && this.#readline?.terminal !== false) return;
      this.#dots++;
      this.#out.write(".");
      return;
    }
    const rest = this.#dots > 0 && this.#dots < DOTS;
    this.#dots = rest ? this.#dots + 1 : 1;
    this.#redraw(readline, `${".".repeat(this.#dots)}\n`, rest ? 1 : 0);
  }

  /** What comes next is not dots. */
  #endDots(): void {
    if (this.#dots > 0 && this.#prompt === undefined) this.#out.write("\n");
    this.#dots = 0;
  }

  /** The prompt that is shown now, on a terminal. */
  get #prompt(): Interface | undefined {
    const readline = this.#readline;
    if (readline === undefined || !readline.terminal) return undefined;
    return readline.getPrompt() === "" && readline.line === "" ? undefined : readline;
  }

  /** What a command that goes on writes to. */
  liveTarget(json: boolean): Live {
    return liveOn(this.#out, json, {
      write: (text) => this.live(typeof text === "string" ? text : Buffer.from(text).toString()),
      drained: () => this.settled(),
      close: () => {},
    });
  }

  /** Resolves when all results are written, or the reader is gone. */
  async settled(): Promise<void> {
    await this.#pumping;
    while (this.#out.queued > 0 && !this.#closed) await this.#out.drained(1000);
    if (this.#err !== undefined) await this.#err.drained(1000);
  }

  /** Live lines go above the line that `readline` edits. */
  attach(readline: Interface | undefined): void {
    this.#readline = readline;
  }

  /** Another program has the terminal: live lines wait until it is given back. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined && held.length > 0) this.#above(held.join(""));
  }

  /** The stream that readline draws on. */
  stream(): Writable {
    const write = (text: string): void => {
      // The prompt moves down: the dots are no longer on the line above it.
      if (text.includes("\n")) this.#dots = 0;
      this.#out.write(text);
    };
    const stream = new Writable({
      decodeStrings: false,
      write(chunk: string | Buffer, _encoding, done) {
        write(chunk.toString());
        done();
      },
    });
    const size = (): void => {
      Object.assign(stream, { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 });
    };
    size();
    if (isatty(1)) {
      process.stdout.on("resize", () => {
        size();
        stream.emit("resize");
      });
    }
    return stream;
  }

  /** Writes now what fits, and lets go. */
  close(): void {
    this.#endDots();
    this.#closed = true;
    this.#out.close();
    this.#err?.close();
  }

  async #pump(): Promise<void> {
    this.#busy = true;
    for (;;) {
      const piece = this.#results.shift();
      if (piece === undefined || this.#closed) break;
      this.#out.write(piece);
      while (this.#out.queued > ENOUGH && !this.#closed) await this.#out.drained(1000);
    }
    this.#results = [];
    this.#busy = false;
  }

  #above(text: string): void {
    const readline = this.#prompt;
    if (readline === undefined) this.#out.write(text);
    else this.#redraw(readline, text, 0);
  }

  /** Writes text where the prompt is, or so many lines above it, and the prompt anew below. */
  #redraw(readline: Interface, text: string, above: number): void {
    const rows = readline.getCursorPos().rows + above;
    const up = rows > 0 ? `\u001b[${rows}A` : "";
    this.#out.write(`${up}\r\u001b[J${text}`);
    // The cursor is at the start of a fresh line now; readline would go up by the rows it drew last.
    (readline as unknown as { prevRows: number }).prevRows = 0;
    readline.prompt(true);
  }
}
