// SPDX-License-Identifier: MIT
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../linux/index.js";
import { cacheDir } from "./cache.js";

/** How a guest's processor is made, and why. */
export interface Accelerator {
  readonly name: "kvm" | "tcg";
  readonly reason: string;
  /** It looks as if it worked, and no guest has shown it yet. */
  readonly unproven?: true;
}

/** What may be asked for. `auto` looks first; `kvm,tcg` tries KVM however it looks. */
export type AcceleratorChoice = "auto" | "kvm" | "tcg" | "kvm,tcg";

/** Names the boot of this machine in which KVM turned out not to work. */
const verdictFile = (): string => join(cacheDir(), "kvm-unusable");

function knownBroken(): boolean {
  try {
    return readFileSync(verdictFile(), "utf8").trim() === bootId();
  } catch {
    return false;
  }
}

/** What is used where a guest did not start under KVM. */
export const TCG_INSTEAD: Accelerator = { name: "tcg", reason: "KVM is there, but a guest did not start under it" };

/** Keeps in the cache, until this machine boots again, that KVM does not work: the next guest need not find it out. */
export function rememberBrokenKvm(): void {
  try {
    mkdirSync(cacheDir(), { recursive: true });
    writeFileSync(verdictFile(), `${bootId()}\n`);
  } catch {
    // A cache that can't be written to costs the next guest some seconds.
  }
}

/**
 * KVM where it can work, else TCG: decided by looking, in less than a millisecond. Where only starting a guest can tell,
 * `boot` goes on with TCG when none comes up.
 *
 * A KVM that is there is not one that works. kvm_pvm (a hypervisor's own software KVM) opens, makes machines, and then
 * emulates their instructions one by one, or hangs; and without kvm_intel or kvm_amd no other KVM drives this CPU.
 */
export function accelerator(wanted: AcceleratorChoice = "auto", root = ""): Accelerator {
  if (wanted === "kvm,tcg") return { name: "kvm", reason: "asked for, if it works", unproven: true };
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
  if (knownBroken()) return TCG_INSTEAD;
  return { name: "kvm", reason: "/dev/kvm is usable", unproven: true };
}
