// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { hasCapability } from "../../linux/index.js";
import { serveConsoles } from "../kinds/vm/console-shell.js";
import { supervise } from "../kinds/vm/supervision.js";
import { type GuestMachine, guestLabFiles } from "./state.js";

/** What the supervisor of a lab's guest is told. */
export interface GuestLabPlan extends GuestMachine {
  readonly lab: string;
  /** The directory of who deploys, and what else must be seen there. */
  readonly cwd: string;
  readonly visible: readonly string[];
  readonly modules: readonly string[];
  /** Mounts of the host that the guest neither sees nor keeps alive. */
  readonly unmounted: readonly string[];
}

/** Runs the guest of a lab, to its end, or that of the lab. */
export async function superviseGuestLab(planPath: string): Promise<void> {
  const { lab, modules, ...plan } = JSON.parse(readFileSync(planPath, "utf8")) as GuestLabPlan;
  await supervise({
    files: guestLabFiles(lab),
    options: async () => ({
      ...plan,
      hostName: `${lab}-guest`,
      // Commands may write wherever they could on the host: it is thrown away.
      overlays: hasCapability("CAP_SYS_ADMIN") ? ["/"] : [],
      likelyModules: modules,
    }),
    serve: (guest) => {
      serveConsoles(guest, lab, {});
      return () => undefined;
    },
  });
}
