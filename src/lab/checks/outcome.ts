// SPDX-License-Identifier: MIT

/** What a check found out, in a line, with what a reader needs to understand a failure. */
export interface Outcome {
  readonly ok: boolean;
  readonly message: string;
  /** Outputs of commands and the like. */
  readonly details?: string;
}

export const passed = (message: string): Outcome => ({ ok: true, message });

export function failed(message: string, details = ""): Outcome {
  return { ok: false, message, ...(details === "" ? {} : { details }) };
}

const PAUSE_MS = 50;

/** Looks again until it holds or `within` milliseconds are over; with `fails`, until it holds after all. */
export async function until(
  { within, fails }: { within: number; fails: boolean },
  signal: AbortSignal,
  look: () => Promise<Outcome>,
): Promise<Outcome> {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found.ok) return fails ? failed(`${found.message}, and should not`) : found;
    if (signal.aborted || performance.now() + PAUSE_MS >= deadline) return fails ? { ...found, ok: true } : found;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
