// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { XdpctlError } from "../../../errors/index.js";
import { shellSettings } from "../../files.js";
import type { Kind } from "../kind.js";
import { guestEnvironment, spawnInGuest, standInGuest } from "./enter.js";
import { guestFault, inspectGuest } from "./inspect.js";
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
  environment: guestEnvironment,

  inside({ node }) {
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `no thread of this kernel can be in the guest of ${node.name}`, {
      remedy: "run a command there: `spawn`, or `xdpctl lab exec`",
    });
  },

  spawn: spawnInGuest,
  replace: standInGuest,

  /** The guest has the host's files: bash with a prompt that names the machine, else sh. */
  shell({ state }, interactive) {
    const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path));
    if (!interactive) return bash === undefined ? ["/bin/sh", "-s"] : [bash, "--norc", "-s"];
    return bash === undefined ? ["/bin/sh", "-i"] : [bash, "--rcfile", shellSettings(state.name), "-i"];
  },
};
