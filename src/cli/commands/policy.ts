// SPDX-License-Identifier: MIT
import { resolve } from "node:path";
import type { Command } from "commander";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { POLICY_TEXT, type PolicyStatus } from "../../rpc/index.js";
import { group, leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { formatCompact } from "../quantities.js";

export function register(program: Command, context: Context): void {
  const policy = group(program, "policy", "Lua policies that answer what happens", [
    ["xdpctl policy check portscan.lua", "what is wrong with it, before it runs"],
    ["xdpctl policy load portscan.lua", "run it in the controller"],
    ["xdpctl policy ls", "which run, and how fast"],
  ]);
  loading(policy, context);
  listing(policy, context);
  checking(policy, context);
}

/** A script's words as the controller reads them: it has another working directory, so `@FILE` becomes absolute. */
export function scriptWords(words: readonly string[]): string[] {
  return words.map((word) => {
    const [, name, file] = /^([A-Za-z_]\w*=)?@(.+)$/s.exec(word) ?? [];
    return file === undefined ? word : `${name ?? ""}@${resolve(file)}`;
  });
}

interface LoadPolicyOptions {
  text?: string;
  name?: string;
  genl?: string[];
}

/** An option that may be given several times. */
function several(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function loadedLine(policy: PolicyStatus, replaced: boolean): string {
  const hooks = policy.hooks.length === 0 ? "no hooks" : `hooks ${policy.hooks.join(", ")}`;
  return `${policy.name}  ${policy.state}  ${hooks}${replaced ? "  (replaced the running one; its state stays)" : ""}`;
}

function loading(policy: Command, context: Context): void {
  leaf(policy, "load [file] [args...]", "run a policy, or replace the running one of that name", [
    ["xdpctl policy load portscan.lua", "named after the file"],
    ["xdpctl policy load blocklist.lua list=@bad.txt", "with an argument for the script: the lines of a file"],
    ["xdpctl policy load portscan.lua --name strict", "under another name"],
    ["xdpctl policy load -e 'on(\"deny\", function(src) log(src) end)'", "one that is in no file"],
  ])
    .option("-e, --text <lua>", "the script itself, in place of a file")
    .option("--name <name>", "its name; that of the file by default")
    .option("--genl <family>", "let its genl.call change the system through this family; several times", several)
    .action(async (first: string | undefined, more: string[], options: LoadPolicyOptions) => {
      const { text } = options;
      if (first === undefined && text === undefined) throw usage("which policy? A file, or -e and its text");
      const script =
        text === undefined
          ? { file: resolve(first as string), args: scriptWords(more) }
          : { file: POLICY_TEXT, source: text, args: scriptWords(first === undefined ? [] : [first, ...more]) };
      const backend = await context.backend();
      const params = {
        ...script,
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.genl === undefined ? {} : { genl: options.genl }),
      };
      const result = await backend.request("policy.load", params);
      context.terminal.line(loadedLine(result.policy, result.replaced));
      context.terminal.json(result);
    });
  leaf(policy, "unload <name...>", "end policies; the rules that they made go with them", [
    ["xdpctl policy unload portscan", "one policy"],
  ]).action(async (names: string[]) => {
    const backend = await context.backend();
    const unloaded: { name: string; removed: number }[] = [];
    for (const name of names) {
      const { removed } = await backend.request("policy.unload", { name });
      unloaded.push({ name, removed });
      context.terminal.line(`${name}  unloaded  ${removed} ${removed === 1 ? "rule" : "rules"} removed`);
    }
    context.terminal.json({ unloaded });
  });
  leaf(policy, "reload <name...>", "read the script again; a script that fails leaves the old one running", [
    ["xdpctl policy reload portscan", "after an edit; `state` stays"],
  ]).action(async (names: string[]) => {
    const backend = await context.backend();
    const { policies } = await backend.request("policy.list", {});
    const reloaded: PolicyStatus[] = [];
    for (const name of names) {
      const running = policies.find((p) => p.name === name);
      if (running === undefined) {
        const known = policies.map((p) => p.name);
        throw new XdpctlError("XDPCTL_E_NO_POLICY", `there is no policy ${name}${didYouMean(name, known)}`);
      }
      const { file, args = [], genl = [] } = running;
      const params = { file, name, args, ...(genl.length === 0 ? {} : { genl }) };
      const result = await backend.request("policy.load", params);
      reloaded.push(result.policy);
      context.terminal.line(loadedLine(result.policy, true));
    }
    context.terminal.json({ policies: reloaded });
  });
}

function micros(value: number | null): string | null {
  if (value === null) return null;
  return value < 1000 ? `${Math.round(value)} µs` : `${(value / 1000).toFixed(1)} ms`;
}

function listing(policy: Command, context: Context): void {
  leaf(policy, "ls", "the policies, and what they did", [["xdpctl policy ls", "all of them"]]).action(async () => {
    const backend = await context.backend();
    const { policies } = await backend.request("policy.list", {});
    context.terminal.table(
      [
        { title: "NAME" },
        { title: "STATE" },
        { title: "HOOKS" },
        { title: "CALLS", align: "right" },
        { title: "P50", align: "right" },
        { title: "P99", align: "right" },
        { title: "LOST", align: "right" },
        { title: "BLOCKED", align: "right" },
        { title: "LAST ERROR" },
      ],
      policies.map((p) => [
        p.name,
        p.state,
        p.hooks.length === 0 ? null : p.hooks.join(","),
        formatCompact(p.calls),
        micros(p.p50),
        micros(p.p99),
        p.lost,
        p.blocked,
        p.lastError,
      ]),
    );
    context.terminal.json({ policies });
  });
}

function checking(policy: Command, context: Context): void {
  leaf(policy, "check [file...]", "read policies without running them; needs no root", [
    ["xdpctl policy check portscan.lua", "its hooks, and what it uses"],
    ["xdpctl policy check examples/policies/*.lua", "several"],
  ])
    .option("-e, --text <lua>", "a script itself")
    .action(async (files: string[], { text }: { text?: string }) => {
      const { checkPolicy } = await import("../../policy/index.js");
      if (files.length === 0 && text === undefined) throw usage("which policy? A file, or -e and its text");
      let failed: XdpctlError | undefined;
      const texts = text === undefined ? [] : [POLICY_TEXT];
      for (const file of [...files, ...texts]) {
        try {
          const found = await checkPolicy(file, ...(file === POLICY_TEXT ? [text] : []));
          const uses = found.uses.length === 0 ? "" : `; uses ${found.uses.join(", ")}`;
          context.terminal.line(`${file}: hooks ${found.hooks.length === 0 ? "none" : found.hooks.join(", ")}${uses}`);
          for (const warning of found.warnings) context.terminal.note(`${file}: warning: ${warning}`);
          context.terminal.json({ file, ...found });
        } catch (thrown) {
          // The last file's error ends the command; the others are shown as they come.
          if (failed !== undefined) context.terminal.failure(failed);
          const { remedy: _, ...error } = XdpctlError.wrap(thrown).toJSON();
          failed = XdpctlError.from({ ...error, remedy: "" });
        }
      }
      if (failed !== undefined) throw failed;
    });
}
