// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { XdpctlEvent } from "../../events/index.js";
import type { Loop } from "../../loop/index.js";
import type { Backend, Subscription } from "../../rpc/index.js";
import { exampleText, usage } from "../command.js";
import { ConsoleTerminal } from "../console.js";
import { aborted, type Context } from "../context.js";
import { EventQueue } from "../eventqueue.js";
import { eventLine } from "../eventtext.js";
import { COMMAND_NAMES, execute } from "../execute.js";
import { classify, isUnfinished } from "./classify.js";
import type { Display } from "./display.js";
import { runLab } from "./lab.js";
import type { Tick } from "./tick.js";
import { tokenize } from "./tokenize.js";
import { Via } from "./via.js";

/** Lines that only the REPL knows. */
export const BUILTINS = ["help", "exit", "quit", "stop", "via", "tick"] as const;
export const LINE_WORDS: readonly string[] = [...COMMAND_NAMES, ...BUILTINS];
/** Commands that make no sense at a prompt: they are what it is. */
const NOT_HERE = new Set(["repl", "run"]);

const INTERRUPTED = 130;
/** Milliseconds that an interrupted command has to end by itself. */
const GRACE = 500;

/** What a session needs of the screen. */
export type Screen = Pick<Display, "interactive" | "columns" | "out" | "err" | "liveTarget" | "settled">;

export interface SessionOptions {
  backend: Backend;
  loop: Loop;
  display: Screen;
  interactive: boolean;
  json: boolean;
  /** Where Lua goes before it runs; nowhere by default. */
  via?: Via;
  /** The dot of each second. */
  tick?: Pick<Tick, "on">;
  /** Gives the terminal to another program while `body` runs. */
  lend?: (body: () => Promise<number>) => Promise<number>;
}

/** What one line did: its exit code, or that it is not complete, or that the REPL is to end. */
export type Outcome = number | "more" | "exit";

/** The meaning of the REPL's lines, apart from where they come from. */
export class Session {
  readonly #options: SessionOptions;
  readonly #via: Via;
  /** Lua that goes on in the next line. */
  #chunk: string | undefined;
  #abort: AbortController | undefined;
  #streaming = false;
  #background: { queue: EventQueue; subscription: Subscription } | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#via = options.via ?? new Via();
  }

  get unfinished(): boolean {
    return this.#chunk !== undefined;
  }

  get running(): boolean {
    return this.#abort !== undefined;
  }

  /** Forgets the Lua that was typed so far. */
  reset(): void {
    this.#chunk = undefined;
  }

  /** Ends the command that runs now, and not the REPL. */
  interrupt(): void {
    if (this.#abort === undefined) return;
    this.#abort.abort("SIGINT");
    this.#options.backend.interruptLua?.();
  }

  /** Shows what policies and timers print while nothing else does. */
  async listen(): Promise<void> {
    const { backend, display, json } = this.#options;
    const queue = new EventQueue(display.liveTarget(json), json ? (event) => JSON.stringify(event) : backgroundLine);
    const subscription = await backend.subscribe("events", { types: ["policy", "lost"] }, (event) => {
      if (isBackground(event) && !this.#streaming) queue.push(event);
    });
    this.#background = { queue, subscription };
    void subscription.ended.then(() => queue.settled());
  }

  /** Resolves when the controller that this REPL is a client of has ended. */
  get ended(): Promise<void> {
    return this.#background?.subscription.ended ?? new Promise(() => {});
  }

  async close(): Promise<void> {
    this.#via.stop();
    this.#background?.subscription.close();
    await this.#background?.queue.settled();
    this.#background?.queue.close();
  }

  /** Runs one line; errors are printed, never thrown. */
  async run(line: string): Promise<Outcome> {
    const terminal = new ConsoleTerminal(this.#options.display, this.#options.json);
    if (this.#chunk !== undefined) return await this.#guard((context) => this.#chunkOf(context, line));
    const what = classify(line, LINE_WORDS);
    switch (what.kind) {
      case "empty":
        // The kernel is sent an empty line, too; a comment is nobody's business.
        return line.trim() === "" ? await this.#guard((context) => this.#chunkOf(context, "")) : 0;
      case "typo": {
        const text = `unknown command \`${what.word}\`: did you mean \`${what.meant}\`? (Lua expressions start with \`=\`)`;
        if (this.#options.interactive && !this.#options.json) {
          terminal.note(text);
          return 2;
        }
        return terminal.failure(new XdpctlError("XDPCTL_E_USAGE", text, { remedy: "" }));
      }
      case "lua":
        return await this.#guard((context) => this.#chunkOf(context, line.trim()));
      case "command":
        return await this.#command(line, terminal);
    }
  }

  async #command(line: string, terminal: ConsoleTerminal): Promise<Outcome> {
    const { tokens, open } = tokenize(line);
    if (open !== undefined) {
      return terminal.failure(new XdpctlError("XDPCTL_E_USAGE", `the quote ${open} is not closed`, { remedy: "" }));
    }
    const argv = tokens.map((token) => token.text);
    const [name = "", ...args] = argv;
    if (name === "exit" || name === "quit") return "exit";
    if (name === "stop") return await this.#guard((context) => this.#lua(context, `stop(${args.join(", ")})`, false));
    if (name === "via") return await this.#guard((context) => this.#setVia(context, args));
    if (name === "tick") return await this.#guard((context) => this.#setTick(context, args));
    if (name === "help" && args.length === 0) {
      terminal.raw(overview());
      return 0;
    }
    if (name === "lab") {
      const { display, interactive, lend } = this.#options;
      await display.settled();
      return await this.#guard(() => {
        const work = (): Promise<number> => runLab(args, interactive);
        return lend === undefined ? work() : lend(work);
      });
    }
    return await this.#guard(async (context) => {
      this.#streaming = name === "events";
      try {
        return await execute(argv, context);
      } finally {
        this.#streaming = false;
      }
    });
  }

  /** `via FAMILY`, `via off`, `via`. */
  async #setVia({ terminal }: Context, args: readonly string[]): Promise<number> {
    const [family, ...more] = args;
    if (more.length > 0) throw usage("`via` takes one family, or `off`");
    if (family === "off") this.#via.stop();
    else if (family !== undefined) await this.#via.start(family);
    const now = this.#via.family;
    terminal.line(now === undefined ? "Lua runs as it is typed" : `Lua goes through ${now} before it runs`);
    terminal.json({ via: now ?? null });
    return 0;
  }

  /** `tick on`, `tick off`, `tick`. */
  async #setTick({ terminal }: Context, args: readonly string[]): Promise<number> {
    const { tick } = this.#options;
    const [how, ...more] = args;
    if (more.length > 0 || (how !== undefined && how !== "on" && how !== "off")) throw usage("`tick` is `on` or `off`");
    if (tick !== undefined && how !== undefined) tick.on = how === "on";
    terminal.line(`the tick is ${tick?.on === true ? "on" : "off"}`);
    terminal.json({ tick: tick?.on === true });
    return 0;
  }

  /** One line of Lua, which may go on in the next, by way of the kernel where that is asked for. */
  async #chunkOf(context: Context, line: string): Promise<Outcome> {
    const via = this.#via.family;
    const text = this.#via.through(line);
    const before = this.#chunk;
    if (before === undefined && text.trim() === "") return 0;
    const expression = before === undefined && text.startsWith("=");
    const code = before !== undefined ? `${before}\n${text}` : expression ? text.slice(1).trim() : text;
    if (via === undefined) return await this.#lua(context, code, expression);
    try {
      return await this.#lua(context, code, expression);
    } catch (error) {
      if (!XdpctlError.is(error) || !error.code.startsWith("XDPCTL_E_LUA_")) throw error;
      // What came from the kernel may be anything: the REPL goes on, a script, too.
      if (!context.terminal.jsonMode) context.terminal.note("failed to execute Lua call.");
      if (!context.signal.aborted) context.terminal.failure(error);
      return 0;
    }
  }

  async #lua({ terminal, signal }: Context, code: string, expression: boolean): Promise<Outcome> {
    this.#chunk = undefined;
    try {
      const { output, values } = await this.#options.backend.request("lua", { code, expression });
      if (signal.aborted) return INTERRUPTED;
      for (const text of output) terminal.line(text);
      if (values.length > 0) terminal.line(values.join("\t"));
      terminal.json({ output, values });
      return 0;
    } catch (error) {
      if (!expression && XdpctlError.is(error, "XDPCTL_E_LUA_SYNTAX") && isUnfinished(error.message)) {
        this.#chunk = code;
        return "more";
      }
      throw error;
    }
  }

  /** Runs `body` so that Ctrl-C can end it, and turns what it throws into a printed error and an exit code. */
  async #guard(body: (context: Context) => Promise<Outcome>): Promise<Outcome> {
    const { backend, loop, display, interactive, json } = this.#options;
    const abort = new AbortController();
    let muted = false;
    const terminal = new ConsoleTerminal(
      {
        interactive: display.interactive,
        columns: () => display.columns(),
        out: (text) => {
          if (!muted) display.out(text);
        },
        err: (text) => {
          if (!muted) display.err(text);
        },
      },
      json,
    );
    const context: Context = {
      kind: interactive ? "repl" : "script",
      terminal,
      signal: abort.signal,
      backend: () => Promise.resolve(backend),
      loop: () => Promise.resolve(loop),
      live: () => Promise.resolve(display.liveTarget(terminal.jsonMode)),
    };
    this.#abort = abort;
    const late = aborted(abort.signal).then(() => new Promise<number>((done) => setTimeout(done, GRACE, INTERRUPTED)));
    try {
      const outcome = await Promise.race([body(context), late]);
      return abort.signal.aborted && outcome !== "exit" ? INTERRUPTED : outcome;
    } catch (error) {
      return abort.signal.aborted ? INTERRUPTED : terminal.failure(error);
    } finally {
      muted = true;
      this.#abort = undefined;
    }
  }
}

function isBackground(event: XdpctlEvent): boolean {
  if (event.type === "lost") return event.where !== "reader";
  return event.type === "policy" && (event.action === "log" || event.action === "error" || event.action === "killed");
}

/** What the REPL's own Lua prints is shown as it is; what policies say, with their name. */
function backgroundLine(event: XdpctlEvent): string {
  return event.type === "policy" && event.policy === "repl" && event.action === "log" ? event.text : eventLine(event);
}

function overview(): string {
  const commands = COMMAND_NAMES.filter((name) => !NOT_HERE.has(name));
  return `Commands: ${commands.join(" ")}
\`help COMMAND\` shows the arguments of one; \`exit\` or Ctrl-D leaves; Ctrl-C stops the command that runs.
Any other line is Lua; \`=EXPRESSION\` prints its values; \`stop N\` ends a timer of \`every\` or a packet hook.
\`via FAMILY\` sends Lua through a kernel module before it runs, \`via off\` no longer; \`tick on|off\` is its dot of each second.
${exampleText([
  ["load guard eth1", "put the guard on eth1"],
  ["deny 198.51.100.0/24 --for 10m", "drop a network for ten minutes"],
  ["events --deny", "watch, until Ctrl-C"],
  ["=1 + 1", "Lua"],
]).replaceAll("  $ ", "  ")}`;
}
