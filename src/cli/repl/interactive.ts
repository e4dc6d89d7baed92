// SPDX-License-Identifier: MIT
import { createInterface, type Interface } from "node:readline";
import { isatty } from "node:tty";
import { complete, type Sources } from "./complete.js";
import type { Display } from "./display.js";
import { History } from "./history.js";
import type { Session } from "./session.js";

/** `xdp@lab> ` in a lab's machine, `xdpctl> ` elsewhere. */
export function promptText(env: NodeJS.ProcessEnv = process.env): string {
  const { XDPCTL_NODE: node, XDPCTL_LAB: lab } = env;
  if (node === undefined || node === "") return "xdpctl> ";
  return lab === undefined || lab === "" ? `${node}> ` : `${node}@${lab}> `;
}

const MORE = "... ";

/** The prompt: reads lines from a terminal until Ctrl-D, `exit`, or a signal. */
export class Prompt {
  readonly #display: Display;
  readonly #session: () => Session;
  readonly #readline: Interface;
  readonly #history = new History();
  readonly #lines: string[] = [];
  #busy = false;
  #lent = false;
  #finish: (line: boolean) => void = () => {};
  /** Whether the cursor stands behind the prompt. */
  readonly #ended: Promise<boolean>;

  constructor(display: Display, session: () => Session, sources: () => Sources) {
    this.#display = display;
    this.#session = session;
    this.#ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#readline = createInterface({
      input: process.stdin,
      output: display.stream(),
      terminal: isatty(1),
      prompt: promptText(),
      historySize: 1000,
      removeHistoryDuplicates: true,
      history: this.#history.read(),
      completer: (line: string, done: (error: null, answer: [string[], string]) => void) => {
        void complete(line, sources()).then((answer) => done(null, answer));
      },
    });
    display.attach(this.#readline);
    this.#readline.on("line", (line) => this.#receive(line));
    this.#readline.on("SIGINT", () => this.interrupt());
    this.#readline.on("close", () => {
      if (!this.#lent) this.leave();
    });
  }

  /** Ctrl-C: ends the command that runs, or forgets what was typed. */
  interrupt(): void {
    if (this.#lent) return;
    const session = this.#session();
    if (session.running) {
      this.#lines.length = 0;
      session.interrupt();
      return;
    }
    session.reset();
    this.#display.attach(undefined);
    this.#display.out("^C\n");
    this.#display.attach(this.#readline);
    Object.assign(this.#readline, { line: "", cursor: 0, prevRows: 0 });
    this.#readline.setPrompt(promptText());
    this.#readline.prompt();
  }

  /** Ends the prompt, after the command that runs. */
  leave(): void {
    this.#session().interrupt();
    this.#finish(true);
  }

  /** Resolves when the user has left. */
  async run(): Promise<void> {
    this.#readline.prompt();
    const behindPrompt = await this.#ended;
    this.#display.attach(undefined);
    this.#readline.close();
    if (behindPrompt && isatty(1)) this.#display.out("\n");
  }

  /** Gives the terminal to another program while `body` runs: it reads the keys, Ctrl-C is its own. */
  async lend(body: () => Promise<number>): Promise<number> {
    this.#lent = true;
    this.#readline.pause();
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    this.#display.hold();
    try {
      return await body();
    } finally {
      this.#lent = false;
      if (process.stdin.isTTY && isatty(1)) process.stdin.setRawMode(true);
      this.#display.release();
      this.#readline.resume();
    }
  }

  #receive(line: string): void {
    this.#lines.push(line);
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    // While a command runs there is no prompt: only what is typed ahead is drawn again below its output.
    this.#readline.setPrompt("");
    for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
      this.#history.add(line);
      const outcome = await this.#session().run(line);
      await this.#display.settled();
      if (outcome === "exit") {
        this.#finish(false);
        return;
      }
      if (outcome === 130) this.#display.live("^C\n");
    }
    this.#busy = false;
    this.#readline.setPrompt(this.#session().unfinished ? MORE : promptText());
    this.#readline.prompt(true);
  }
}
