// SPDX-License-Identifier: MIT

/** Runs one guest of a lab to its end; `plan` is the file that `deploy` wrote for it. Loads QEMU's side when it is called. */
export async function superviseGuest(plan: string): Promise<void> {
  const { superviseGuest: run } = await import("./kinds/vm/supervise.js");
  await run(plan);
}
