// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import { hostFilesEnvironment, hostFilesShell } from "../host-files.js";
import type { Kind } from "../kind.js";
import { askGuest } from "./ask.js";
import { spawnInGuest, standInGuest } from "./enter.js";
import { linkInGuest } from "./link.js";
import { guestFault, guestKernel, inspectGuest } from "./inspect.js";
import { mendGuest } from "./mend.js";
import { plumb } from "./plumb.js";
import { lookAtGuest, startGuests } from "./start.js";
import { stopGuests } from "./stop.js";

/**
 * A machine with a kernel of its own, on top of the host's files. Its network namespace on the host holds the ends of its
 * links, and QEMU, which joins them with the guest's NICs; nobody has an address there. What is in the guest is reached by
 * its agent.
 */
export const vm: Kind = {
  namespaces: ["net"],
  silent: true,
  configure: plumb,
  start: startGuests,
  stop: stopGuests,
  isReady: lookAtGuest,
  fault: guestFault,
  inspect: inspectGuest,
  run: askGuest,
  kernel: guestKernel,
  link: linkInGuest,
  mend: mendGuest,
  environment: ({ state, node }, base) => hostFilesEnvironment(state.name, node, base),

  inside({ node }) {
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `no thread of this kernel can be in the guest of ${node.name}`, {
      remedy: "run a command there: `spawn`, or `xdpctl lab exec`",
    });
  },

  spawn: spawnInGuest,
  replace: standInGuest,

  shell: ({ state }, interactive) => hostFilesShell(state.name, interactive),
};
