// SPDX-License-Identifier: MIT
import { resolve } from "node:path";
import type { Command } from "commander";
import { allowedCpus } from "../../linux/index.js";
import { leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { POLICY_TEXT } from "../../rpc/index.js";
import { VERSION } from "../version.js";
import { attachmentLines, type LoadOptions, load, loadOptions, loadParams } from "./load.js";
import { stream } from "./events.js";
import { scriptWords } from "./policy.js";

interface Script {
  file: string;
  /** Of one that is in no file. */
  source?: string;
  name?: string;
  args: string[];
  genl: string[];
}

interface RunOptions extends LoadOptions {
  cpus?: number[];
  policy?: Script[];
  text?: Script[];
}

/** `--policy FILE` and `--text LUA` start a script, `--arg VALUE` belongs to the one before it. */
function scripts(command: Command): Command {
  const all: Script[] = [];
  const of = (option: string): Script => {
    const last = all.at(-1);
    if (last === undefined) throw usage(`${option} comes after the --policy or --text that it is for`);
    return last;
  };
  return command
    .option("--policy <file>", "a policy to run; may be given several times", (file: string) => {
      all.push({ file, args: [], genl: [] });
      return all;
    })
    .option("-e, --text <lua>", "a policy given as text; may be given several times", (source: string) => {
      const number = all.filter(({ file }) => file === POLICY_TEXT).length + 1;
      all.push({ file: POLICY_TEXT, source, name: number === 1 ? "text" : `text${number}`, args: [], genl: [] });
      return all;
    })
    .option("--arg <value>", "an argument of the policy named before it", (value: string) => {
      of("--arg").args.push(value);
      return value;
    })
    .option(
      "--genl <family>",
      "lets that policy's genl.call change the system through this family",
      (value: string) => {
        of("--genl").genl.push(value);
        return value;
      },
    );
}

/** `0,2-5`: at least two CPUs on which this process may run. */
function cpuList(text: string): number[] {
  const allowed = allowedCpus();
  const cpus = text.split(",").flatMap((part) => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (match === null) throw usage(`${JSON.stringify(text)} is no list of CPUs`, "for example 2,3 or 0,4-7");
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
  const wrong = cpus.find((cpu) => !allowed.includes(cpu));
  if (wrong !== undefined) throw usage(`this process may not run on CPU ${wrong}: it has ${allowed.join(", ")}`);
  if (new Set(cpus).size < 2) throw usage("--cpus needs two CPUs at least: one for the loop, one for policies");
  return [...new Set(cpus)];
}

export function register(program: Command, context: Context): void {
  scripts(
    loadOptions(
      leaf(program, "run <program> <interface...>", "be the controller in the foreground, until a signal ends it", [
        ["xdpctl run guard eth1", "a guard on eth1 while this runs"],
        ["xdpctl run guard eth1 --policy portscan.lua", "with a policy"],
        ["xdpctl run guard eth1 --policy blocklist.lua --arg list=@bad.txt", "and an argument for it"],
        [
          "xdpctl run guard eth1 -e 'every(1, function() print(stats(\"eth1\").drop) end)'",
          "with one that is in no file",
        ],
        ["xdpctl run guard eth0 eth1 --keep", "the guard stays when the controller ends"],
        ["xdpctl run guard eth1 --policy portscan.lua --cpus 2,3", "the loop on CPU 2, policies on CPU 3"],
      ]),
    ).option("--cpus <list>", "keep the event loop on the first CPU, policies on the others", cpuList),
  ).action(async (name: string, interfaces: string[], options: RunOptions) => {
    if (context.kind !== "shell") throw usage("the REPL is a controller itself", "use `load` and `policy load`");
    const { signal, terminal } = context;
    const params = loadParams(name, interfaces, options);
    const { Controller } = await import("../../control/index.js");
    const loop = await context.loop();
    const controller = await Controller.start({
      kind: "run",
      loop,
      version: VERSION,
      hold: true,
      ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    });
    try {
      const inside: Context = {
        kind: "shell",
        terminal,
        signal,
        backend: () => Promise.resolve(controller),
        loop: () => Promise.resolve(loop),
        live: () => context.live(),
      };
      const loaded = await load(inside, params, options, ["run", name, ...interfaces]);
      for (const line of attachmentLines(loaded.attachments)) terminal.line(line);
      terminal.json(loaded);
      if (signal.aborted) return;
      // What scripts say while they load is shown, too.
      await stream(inside, ["policy", "xdp", "link", "lost"], {
        begin: async (line) => {
          // Both options give the one list, in the order of the command line.
          for (const { file, args, genl, ...text } of options.policy ?? options.text ?? []) {
            const at = text.source === undefined ? resolve(file) : file;
            const params = { file: at, ...text, args: scriptWords(args), genl };
            const { policy } = await controller.request("policy.load", params);
            line(`${policy.name}  ${policy.state}  hooks ${policy.hooks.join(", ") || "none"}`, { policy });
          }
          controller.release();
        },
        // So is what their exit hooks say.
        end: () => controller.close(),
      });
    } finally {
      await controller.close();
    }
  });
}
