// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from "node:fs";
import { fileSystemType, hasCapability } from "../../../linux/index.js";
import type { EngineName } from "./engine.js";

const CGROUP2_MAGIC = 0x63677270;

/** Options of the engine itself, and of the containers it makes. */
export interface Options {
  readonly engine: readonly string[];
  readonly container: readonly string[];
}

/** What some machines need before a container starts there. */
interface Need {
  readonly name: string;
  /** What the engine or its runtime answers where it is needed. */
  readonly answer: RegExp;
  /** Whether it can be told beforehand. */
  readonly expected: () => boolean;
  readonly options: () => Options;
}

/** This process's own limit as `soft:hard` (proc_pid_limits(5)), at most `most`. */
function limit(label: string, most: number): string {
  const text = readFileSync("/proc/self/limits", "utf8");
  const [, soft = "", hard = ""] = new RegExp(`^${label} +(\\S+) +(\\S+)`, "m").exec(text) ?? [];
  const number = (value: string): number => Math.min(value === "unlimited" ? most : Number(value), most);
  return `${number(soft)}:${number(hard)}`;
}

/** podman sets its own limits to these when it starts, or to less. */
const MOST_FILES = 1 << 20;
const mostProcesses = (): number => Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));

const hasRunc = (): boolean => ["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"].some((at) => existsSync(at));

/** In the order in which they are tried. Docker's daemon has such options in a file of its own. */
const NEEDS: Readonly<Record<EngineName, readonly Need[]>> = {
  podman: [
    {
      // podman gives containers higher limits than its own, which takes a capability.
      name: "ulimits",
      answer: /setrlimit|rlimit/i,
      expected: () => !hasCapability("CAP_SYS_RESOURCE"),
      options: () => ({
        engine: [],
        container: [
          ...["--ulimit", `nofile=${limit("Max open files", MOST_FILES)}`],
          ...["--ulimit", `nproc=${limit("Max processes", mostProcesses())}`],
        ],
      }),
    },
    {
      // No systemd, nobody to ask for cgroups.
      name: "cgroupfs",
      answer: /systemd|dbus|sd-bus|cgroup manager/i,
      expected: () => !existsSync("/run/systemd/system"),
      options: () => ({ engine: ["--cgroup-manager=cgroupfs"], container: [] }),
    },
    {
      // crun refuses a hierarchy that is half of the first and half of the second version; runc takes it.
      name: "runc",
      answer: /cgroups? in hybrid mode|hybrid mode not supported|crun/i,
      expected: () => fileSystemType("/sys/fs/cgroup") !== CGROUP2_MAGIC && hasRunc(),
      options: () => ({ engine: ["--runtime", "runc"], container: [] }),
    },
    {
      name: "no cgroups",
      answer: /cgroup/i,
      expected: () => false,
      options: () => ({ engine: [], container: ["--cgroups=disabled"] }),
    },
  ],
  docker: [],
};

/** The needs that can be told beforehand. */
export function expectedNeeds(engine: EngineName): string[] {
  return NEEDS[engine].filter((need) => need.expected()).map((need) => need.name);
}

/** The first need that explains an answer of the engine, and has not been met yet. */
export function needOf(engine: EngineName, reason: string, met: readonly string[]): string | undefined {
  return NEEDS[engine].find((need) => !met.includes(need.name) && need.answer.test(reason))?.name;
}

export function optionsFor(engine: EngineName, needs: readonly string[]): Options {
  const found = NEEDS[engine].filter((need) => needs.includes(need.name)).map((need) => need.options());
  return { engine: found.flatMap((one) => one.engine), container: found.flatMap((one) => one.container) };
}
