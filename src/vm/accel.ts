// SPDX-License-Identifier: MIT
import { accessSync, constants, existsSync } from "node:fs";

/** How a guest's processor is made, and why. */
export interface Accelerator {
  readonly name: "kvm" | "tcg";
  readonly reason: string;
}

/**
 * KVM where it can work, else TCG: decided by looking, in less than a millisecond.
 *
 * A KVM that is there is not one that works. kvm_pvm (a hypervisor's own software KVM) opens, makes machines, and then
 * emulates their instructions one by one, or hangs; and without kvm_intel or kvm_amd no other KVM drives this CPU.
 */
export function accelerator(wanted: "auto" | "kvm" | "tcg" = "auto", root = ""): Accelerator {
  if (wanted !== "auto") return { name: wanted, reason: "asked for" };
  const device = `${root}/dev/kvm`;
  const tcg = (reason: string): Accelerator => ({ name: "tcg", reason });
  if (!existsSync(device)) return tcg("there is no /dev/kvm");
  if (existsSync(`${root}/sys/module/kvm_pvm`)) return tcg("KVM is kvm_pvm, which boots no such guest");
  if (!["kvm_intel", "kvm_amd"].some((name) => existsSync(`${root}/sys/module/${name}`)) && process.arch === "x64")
    return tcg("/dev/kvm is there, but neither kvm_intel nor kvm_amd");
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
  } catch {
    return tcg("/dev/kvm may not be opened by this user");
  }
  return { name: "kvm", reason: "/dev/kvm works" };
}
