// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { XdpctlError } from "../../../errors/index.js";
import { isAlive } from "../../state.js";
import { configureNode } from "../../network.js";
import type { Kind, Place } from "../kind.js";
import { containerOf } from "./create.js";
import { containerEnvironment, insideContainer, spawnInContainer, standFor } from "./enter.js";
import { untilReady } from "./ready.js";
import { hostFor, startContainers } from "./start.js";
import { collectContainers, removeContainers } from "./stop.js";

const markOf = ({ state, node }: Place) => state.machines[node.name]?.container;

/**
 * A container, in a network namespace of the lab's: it finds its links when it starts, and they stay when it is made anew.
 * Commands get in by its namespaces, and have its capabilities; the engine is only asked to start and to remove.
 */
export const container: Kind = {
  namespaces: ["net"],
  check: (spec, nodes) => void hostFor(spec, nodes),
  configure: configureNode,
  start: startContainers,
  stop: removeContainers,
  awaitReady: untilReady,
  collect: collectContainers,

  fault(at) {
    return isAlive(markOf(at)?.init) ? undefined : new XdpctlError("XDPCTL_E_NO_NODE", "its container has ended");
  },

  inspect(at) {
    const mark = markOf(at);
    const { engine = "", version = "", options = "" } = at.state.containers ?? {};
    return {
      container: {
        id: mark?.id ?? "",
        image: containerOf(at.node).image,
        engine: `${engine} ${version}`.trim(),
        options,
      },
    };
  },

  environment: containerEnvironment,
  inside: insideContainer,
  spawn: spawnInContainer,
  replace: standFor,

  /** Bash where the image has it, else sh. */
  shell(at, interactive) {
    const bash = insideContainer(at, () => ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path)));
    const prompt = `PS1='${at.node.name}:\\w# '`;
    if (!interactive) return bash === undefined ? ["/bin/sh", "-s"] : [bash, "--norc", "-s"];
    return bash === undefined ? ["/usr/bin/env", prompt.replaceAll("'", ""), "/bin/sh", "-i"] : [bash, "-i"];
  },
};
