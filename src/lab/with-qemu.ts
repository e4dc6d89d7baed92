// SPDX-License-Identifier: MIT
import type { InGuest, InGuestOptions } from "./in-guest/deploy.js";
import type { LabSpec } from "./spec.js";

// What loads QEMU's side of the house, when it is called.

/** Runs one guest of a lab to its end; `plan` is the file that `deploy` wrote for it. */
export async function superviseGuest(plan: string): Promise<void> {
  const { superviseGuest: run } = await import("./kinds/vm/supervise.js");
  await run(plan);
}

/** The same for the guest that a whole lab is in. */
export async function superviseGuestLab(plan: string): Promise<void> {
  const { superviseGuestLab: run } = await import("./in-guest/supervise.js");
  await run(plan);
}

/** Deploys a lab of namespaces in a guest: see in-guest/deploy.ts. */
export async function deployInGuest(spec: LabSpec, options: InGuestOptions): Promise<InGuest> {
  const { deployInGuest: run } = await import("./in-guest/deploy.js");
  return await run(spec, options);
}

/** What a guest's kernel has said that it should never say: the titles of its reports. `console`: its console's file. */
export async function guestSplats(console: string): Promise<string[]> {
  const { splatsBeside } = await import("./in-guest/splats.js");
  return splatsBeside(console);
}
