// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { isatty } from "node:tty";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { exampleText } from "../command.js";
import type { Terminal } from "../terminal.js";
import { openRoom, ownCommand } from "./select.js";

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
const line = (...args: string[]): string =>
  `exec ${ownCommand(...args)
    .map(quoted)
    .join(" ")}`;

export function registerTmux(lab: Command, terminal: Terminal): void {
  lab
    .command("tmux [file]")
    .description("four panes: a shell, `xdp` with the REPL, `server`, `client`; attaches when the session exists")
    .option("-s, --session <name>", "the tmux session's name; the lab's by default")
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl lab tmux labs/xdp.lab.yml", "brings the lab up first, when it is not"],
        ["xdpctl lab tmux", "the lab `xdp` that runs"],
      ]),
    )
    .action(async (file: string | undefined, options: { session?: string }) => {
      const room = await openRoom();
      const name = file === undefined ? (options.session ?? "xdp") : room.readLab(file).name;
      const session = options.session ?? name;
      let ours = false;
      if (!tmux("has-session", "-t", `=${session}`)) {
        if (file !== undefined && !room.list().some((one) => one.name === name)) {
          room.deploy(room.readLab(file));
          ours = true;
        }
        const opened = room.Lab.open(name);
        for (const node of ["xdp", "server", "client"]) opened.check(node);
        createSession(session, name);
      }
      if (!isatty(0) || !isatty(1)) {
        terminal.line(`the session ${session} is there: \`tmux attach -t ${session}\``);
        return;
      }
      attach(session);
      if (ours && !tmux("has-session", "-t", `=${session}`)) {
        if (room.list().some((one) => one.name === name)) room.destroy(name);
        terminal.line(`lab ${name}: down`);
      } else if (room.list().some((one) => one.name === name)) {
        terminal.line(`the lab ${name} goes on; \`xdpctl lab destroy ${name}\` takes it down`);
      }
    });
}

function run(args: readonly string[], stdio: "ignore" | "inherit"): number {
  const done = spawnSync("tmux", args, { stdio: stdio === "ignore" ? ["ignore", "ignore", "pipe"] : "inherit" });
  if ((done.error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") {
    throw new XdpctlError("XDPCTL_E_NO_FILE", "tmux is not installed", { remedy: "apt-get install tmux" });
  }
  return done.status ?? 1;
}

const tmux = (...args: string[]): boolean => run(args, "ignore") === 0;

function must(...args: string[]): void {
  if (!tmux(...args)) throw new XdpctlError("XDPCTL_E_SYSCALL", `tmux ${args[0]} failed`);
}

function createSession(session: string, lab: string): void {
  const at = `=${session}:0`;
  const shell = (node: string): string => line("lab", "shell", node, "--lab", lab);
  must("new-session", "-d", "-s", session, "-x", "200", "-y", "50", "-n", "lab", "-c", process.cwd());
  must("split-window", "-t", at, line("lab", "exec", "--lab", lab, "xdp", "--", ...ownCommand("repl")));
  must("split-window", "-t", at, shell("server"));
  // Four panes in a column are too low for a fifth split: lay them out in between.
  must("select-layout", "-t", at, "tiled");
  must("split-window", "-t", at, shell("client"));
  must("select-layout", "-t", at, "tiled");
  must("select-pane", "-t", `${at}.1`);
}

function attach(session: string): void {
  const inside = process.env.TMUX !== undefined;
  run(inside ? ["switch-client", "-t", `=${session}`] : ["attach-session", "-t", `=${session}`], "inherit");
}
