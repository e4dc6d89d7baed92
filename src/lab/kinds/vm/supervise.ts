// SPDX-License-Identifier: MIT
import { readFileSync, watch } from "node:fs";
import { resolveKernel } from "../../../vm/index.js";
import { ERRAND_PORT } from "../../errand.js";
import { followCarriers } from "./carrier.js";
import { configureGuest, writeGuestHosts } from "./configure.js";
import { serveConsoles } from "./console-shell.js";
import { Errands } from "./errands.js";
import { type GuestPlan, guestFiles } from "./files.js";
import { MASQUERADE_MODULES } from "./setup.js";
import { isOwnModule, ownModules } from "./own-modules.js";
import { isModuleFile } from "./start.js";
import { supervise } from "./supervision.js";

/** Runs one guest of a lab, to its end, or that of the lab. */
export async function superviseGuest(planPath: string): Promise<void> {
  const plan = JSON.parse(readFileSync(planPath, "utf8")) as GuestPlan;
  const { vm, node, lab, nics } = plan;
  const named = vm.modules.filter((name) => !isModuleFile(name) && !isOwnModule(name));
  const files = guestFiles(lab, node.name);
  await supervise({
    files,
    options: async (log, signal) => {
      const kernel = await resolveKernel(vm.kernel, { log, signal });
      const { built, missing } = ownModules(vm, kernel.version);
      return {
        kernel,
        missing,
        ...(vm.root === undefined ? {} : { root: vm.root }),
        hostName: node.name,
        memory: vm.memory,
        cpus: vm.cpus,
        networks: nics.map(({ bridge, mac }) => ({
          kind: "bridge",
          bridge,
          mac,
          dhcp: false,
          offloads: false,
          zerocopy: vm.zerocopy === true,
        })),
        modules: [...(node.masquerade.length > 0 ? MASQUERADE_MODULES : []), ...named],
        moduleFiles: vm.modules.filter(isModuleFile).concat(built),
        ...(vm.lab ? { ports: { [ERRAND_PORT]: files.errands } } : {}),
        unmounted: plan.unmounted,
      };
    },
    prepare: (guest) => configureGuest(guest, plan),
    serve: (guest) => {
      const hosts = watch(plan.hosts, () => void writeGuestHosts(guest, plan).catch(() => undefined));
      const errands = vm.lab ? new Errands(files.errands, lab) : undefined;
      const unfollow = followCarriers(guest, nics);
      serveConsoles(guest, lab, { ...node.env, XDPCTL_NODE: node.name });
      return () => {
        hosts.close();
        unfollow();
        errands?.[Symbol.dispose]();
      };
    },
  });
}
