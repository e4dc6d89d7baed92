// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { GuestLab } from "./in-guest/guest-lab.js";
import { type GuestFiles, guestFiles, readRecord } from "./kinds/vm/files.js";
import type { Lab } from "./lab.js";

/** Where people and programs get at a guest from outside: unix sockets that QEMU serves, and files. */
export interface GuestPlaces {
  /** Its serial line, where the kernel says what it says, and a shell waits. */
  readonly console: string;
  /** A second terminal, for a shell alone. */
  readonly console1: string;
  /** QEMU's monitor. */
  readonly monitor: string;
  readonly qmp: string;
  readonly gdbserver: string;
  /** All that the console said, and the kernel's log. */
  readonly consoleLog: string;
  readonly dmesgLog: string;
  /** The kernel that it booted. */
  readonly image: string;
}

/**
 * The places of a machine's guest; without a machine, of the guest that the lab is in. Errors: XDPCTL_E_NO_NODE, and
 * XDPCTL_E_USAGE for a machine that is none.
 */
export function guestPlaces(lab: Lab | GuestLab, node: string | undefined): GuestPlaces {
  const files = filesOf(lab, node);
  return {
    ...files.sockets,
    gdbserver: files.gdb,
    consoleLog: files.console,
    dmesgLog: files.dmesg,
    image: readRecord(files.record)?.image ?? "",
  };
}

function filesOf(lab: Lab | GuestLab, node: string | undefined): GuestFiles {
  if (lab instanceof GuestLab) {
    if (node === undefined) return lab.files;
    lab.check(node);
    throw new XdpctlError("XDPCTL_E_USAGE", `${node} is a namespace in the guest of the lab ${lab.name}`, {
      remedy: "leave the machine away: the whole lab has one guest",
    });
  }
  if (node === undefined) {
    throw new XdpctlError("XDPCTL_E_USAGE", `which machine? The lab ${lab.name} has ${lab.nodes.join(", ")}`);
  }
  lab.check(node);
  if (lab.spec.nodes.find((one) => one.name === node)?.kind === "vm") return guestFiles(lab.name, node);
  throw new XdpctlError("XDPCTL_E_USAGE", `${node} is no virtual machine`, {
    remedy: "`xdpctl lab shell` opens a shell in any machine",
  });
}
