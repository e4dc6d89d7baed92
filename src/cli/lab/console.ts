// SPDX-License-Identifier: MIT
import { connect } from "node:net";
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { exampleText, leaf } from "../command.js";
import type { Terminal } from "../terminal.js";
import { openRoom, selectLab } from "./select.js";

/** Ctrl-], as in telnet and virsh. */
const ESCAPE = 0x1d;
/** After the end of standard input, an answer may still be on its way. */
const LINGER_MS = 500;

export function registerConsole(lab: Command, terminal: Terminal): void {
  lab
    .command("console [node]")
    .description("a terminal on the console of a virtual machine, or of the guest that a lab is in; Ctrl-] leaves it")
    .option("-l, --lab <name>", "the lab's name")
    .option("-2, --second", "its second console, on which the kernel says nothing")
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl lab console xdp", "its serial line: a shell, and what the kernel says; Ctrl-] leaves it"],
        ["echo dmesg | xdpctl lab console xdp", "types a line, and shows what comes within half a second"],
      ]),
    )
    .action(async (node: string | undefined, options: { lab?: string; second?: boolean }) => {
      const room = await openRoom();
      const { guestPlaces } = await import("../../lab/index.js");
      const lab = room.openLab(selectLab(room, options.lab));
      const places = guestPlaces(lab, node);
      const of = node ?? `the lab ${lab.name}`;
      if (process.stdin.isTTY) terminal.note(`console of ${of}: Ctrl-] leaves it, Enter shows a prompt`);
      await attach(of, options.second === true ? places.console1 : places.console);
    });
}

function attach(node: string, path: string): Promise<void> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const end = (): void => {
      socket.destroy();
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
      resolve();
    };
    socket.once("error", (cause) => {
      reject(new XdpctlError("XDPCTL_E_VM_DIED", `the console of ${node} can't be reached`, { cause }));
    });
    socket.once("connect", () => {
      if (stdin.isTTY) stdin.setRawMode(true);
      stdin.on("data", (bytes: Buffer) => {
        const at = stdin.isTTY ? bytes.indexOf(ESCAPE) : -1;
        socket.write(at < 0 ? bytes : bytes.subarray(0, at));
        if (at >= 0) end();
      });
      stdin.once("end", () => setTimeout(end, LINGER_MS));
    });
    socket.on("data", (bytes: Buffer) => process.stdout.write(bytes));
    // The guest is gone.
    socket.once("close", end);
  });
}

export function registerGdb(lab: Command, terminal: Terminal): void {
  leaf(lab, "gdb [node]", "the command line that debugs the kernel of a virtual machine, or of a lab's guest", [
    ["xdpctl lab gdb xdp", "print it; a kernel with symbols takes the place of the last word"],
    ['eval "$(xdpctl lab gdb xdp)"', "run it"],
  ])
    .option("-l, --lab <name>", "the lab's name")
    .action(async (node: string | undefined, options: { lab?: string }) => {
      const room = await openRoom();
      const { guestPlaces } = await import("../../lab/index.js");
      const { gdbserver, image } = guestPlaces(room.openLab(selectLab(room, options.lab)), node);
      terminal.line(`gdb -ex 'target remote ${gdbserver}' ${image}`);
      terminal.json({ gdbserver, image });
    });
}
