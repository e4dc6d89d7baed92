// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { isatty } from "node:tty";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { exampleText } from "../command.js";
import type { Context } from "../context.js";
import { unlessEnded } from "../interrupted.js";
import { openRoom, ownCommand, waiting } from "./select.js";

const USUAL = ["xdp", "server", "client"];

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
const line = (...args: string[]): string =>
  `exec ${ownCommand(...args)
    .map(quoted)
    .join(" ")}`;

export function registerTmux(lab: Command, context: Context): void {
  const { terminal } = context;
  lab
    .command("tmux [file]")
    .description("four panes: a shell, `xdp` with the REPL, `server`, `client`; attaches when the session exists")
    .option("-s, --session <name>", "the tmux session's name; the lab's by default")
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl lab tmux labs/xdp.lab.yml", "brings the lab up first, when it is not"],
        ["xdpctl lab tmux labs/pair.lab.yml", "without these three, the panes have the file's first three machines"],
        ["xdpctl lab tmux", "the lab `xdp` that runs"],
      ]),
    )
    .action(async (file: string | undefined, options: { session?: string }) => {
      const room = await openRoom();
      const spec = file === undefined ? undefined : room.readLab(file);
      const name = spec?.name ?? options.session ?? "xdp";
      const session = options.session ?? name;
      const isUp = (): boolean => room.list().some((one) => one.name === name);
      let ours = false;
      // This also says when there is no tmux, before anything is made.
      if (!tmux("has-session", "-t", `=${session}`)) {
        if (spec !== undefined && !isUp()) {
          paneMachines(
            name,
            spec.nodes.map((node) => node.name),
          );
          const made = await unlessEnded(context, () => room.bringUp(spec, waiting(context)));
          if (made === undefined) return;
          ours = true;
        }
        try {
          const opened = room.openLab(name);
          const machines = paneMachines(name, opened.nodes);
          for (const node of machines) opened.check(node);
          const [first] = machines;
          const isContainer = opened.spec.nodes.some((node) => node.name === first && node.kind === "container");
          createSession(session, name, machines, !isContainer);
        } catch (error) {
          if (ours && isUp()) room.destroy(name);
          throw error;
        }
      }
      if (!isatty(0) || !isatty(1)) {
        terminal.line(`the session ${session} is there: \`tmux attach -t ${session}\``);
        return;
      }
      attach(session);
      if (ours && !tmux("has-session", "-t", `=${session}`)) {
        if (isUp()) room.destroy(name);
        terminal.line(`lab ${name}: down`);
      } else if (isUp()) {
        terminal.line(`the lab ${name} goes on; \`xdpctl lab destroy ${name}\` takes it down`);
      }
    });
}

/**
 * The machines of the panes, that with the REPL first: `xdp`, `server` and `client`; in a lab that lacks one of them, its
 * first three, before which `xdp` goes.
 */
function paneMachines(lab: string, names: readonly string[]): [string, ...string[]] {
  const ordered = [...names].sort((a, b) => Number(b === "xdp") - Number(a === "xdp"));
  const [first, ...others] = USUAL.every((name) => names.includes(name)) ? USUAL : ordered.slice(0, 3);
  if (first === undefined) throw new XdpctlError("XDPCTL_E_NO_NODE", `the lab ${lab} has no machines to show`);
  return [first, ...others];
}

interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], stdio: "pipe" | "inherit"): Ran {
  const done = spawnSync("tmux", args, {
    stdio: stdio === "pipe" ? ["ignore", "pipe", "pipe"] : "inherit",
    encoding: "utf8",
  });
  if ((done.error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") {
    throw new XdpctlError("XDPCTL_E_NO_FILE", "tmux is not installed", { remedy: "apt-get install tmux" });
  }
  return { ok: done.status === 0, stdout: (done.stdout ?? "").trim(), stderr: (done.stderr ?? "").trim() };
}

const tmux = (...args: string[]): boolean => run(args, "pipe").ok;

/** What tmux prints. */
function must(...args: string[]): string {
  const { ok, stdout, stderr } = run(args, "pipe");
  if (ok) return stdout;
  const reason = stderr === "" ? "" : `: ${stderr.split("\n")[0]}`;
  throw new XdpctlError("XDPCTL_E_SYSCALL", `tmux ${args[0]} failed${reason}`);
}

/** `repl`: the first machine can run it. */
function createSession(session: string, lab: string, [first, ...others]: [string, ...string[]], repl: boolean): void {
  const size = ["-x", "200", "-y", "50"];
  // By its id: a user's settings may count windows and panes from 1.
  const at = must("new-session", "-dPF", "#{window_id}", "-s", session, ...size, "-n", "lab", "-c", process.cwd());
  try {
    const pane = (command: string): string => {
      const id = must("split-window", "-t", at, "-PF", "#{pane_id}", command);
      // Four panes in a column are too low for a fifth split: lay them out in between.
      must("select-layout", "-t", at, "tiled");
      return id;
    };
    const shell = (node: string): string => line("lab", "shell", node, "--lab", lab);
    const main = pane(repl ? line("lab", "exec", "--lab", lab, first, "--", ...ownCommand("repl")) : shell(first));
    for (const node of others) pane(shell(node));
    must("select-pane", "-t", main);
  } catch (error) {
    tmux("kill-session", "-t", `=${session}`);
    throw error;
  }
}

function attach(session: string): void {
  const inside = process.env.TMUX !== undefined;
  run(inside ? ["switch-client", "-t", `=${session}`] : ["attach-session", "-t", `=${session}`], "inherit");
}
