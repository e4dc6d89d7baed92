// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Backend, Rule, RuleSpec } from "../../rpc/index.js";
import { type Example, interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { formatDuration, parseCount, parseDuration, parseRate } from "../quantities.js";
import { parsePort, parseProto, parseTarget } from "../targets.js";

interface RuleOptions {
  for?: number;
  port?: number;
  proto?: "tcp" | "udp";
  interface?: string;
  rate?: number;
  burst?: number;
  delete?: boolean;
  all?: boolean;
}

/** One rule as a line: `deny  198.51.100.0/24  tcp port 22  until 12:14:05 (10m)`. */
export function ruleLine(rule: Rule, now = Date.now()): string {
  const parts: string[] = [rule.action];
  if (rule.address !== null) parts.push(rule.address);
  if (rule.port !== null) parts.push(`${rule.proto === null ? "" : `${rule.proto} `}port ${rule.port}`);
  if (rule.rate !== null) parts.push(`${rule.rate}/s${rule.burst === null ? "" : ` burst ${rule.burst}`}`);
  if (rule.expires !== null) {
    const left = (Date.parse(rule.expires) - now) / 1000;
    parts.push(`until ${new Date(rule.expires).toTimeString().slice(0, 8)} (${formatDuration(Math.round(left))})`);
  }
  parts.push(`on ${rule.interfaces.join(", ")}`);
  return parts.join("  ");
}

function specOf(action: RuleSpec["action"], options: RuleOptions): RuleSpec {
  return {
    action,
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.proto === undefined ? {} : { proto: options.proto }),
    ...(options.for === undefined ? {} : { expiresIn: options.for }),
    ...(options.interface === undefined ? {} : { interface: options.interface }),
    ...(options.rate === undefined ? {} : { rate: options.rate }),
    ...(options.burst === undefined ? {} : { burst: options.burst }),
  };
}

async function add(backend: Backend, rule: RuleSpec, addresses: string[]): Promise<Rule[]> {
  if (addresses.length > 1) return (await backend.request("rules.add", { rule, addresses })).rules;
  const [address] = addresses;
  return [(await backend.request("rule.add", address === undefined ? rule : { ...rule, address })).rule];
}

async function remove(backend: Backend, rule: RuleSpec & { all?: boolean }, addresses: string[]): Promise<number> {
  if (addresses.length > 1) return (await backend.request("rules.delete", { rule, addresses })).deleted;
  const [address] = addresses;
  return (await backend.request("rule.delete", address === undefined ? rule : { ...rule, address })).deleted;
}

async function act(
  context: Context,
  action: RuleSpec["action"],
  targets: readonly string[],
  options: RuleOptions,
): Promise<void> {
  if (options.all === true) {
    if (options.delete !== true) throw usage("--all goes with --delete");
    if (targets.length > 0 || options.port !== undefined) throw usage("--all takes no address and no port");
  } else if (targets.length === 0 && options.port === undefined) {
    throw usage(action === "deny" ? "name an address, or a port with --port" : "name an address");
  }
  if (options.proto !== undefined && options.port === undefined) throw usage("--proto goes with --port");
  if (action === "limit" && options.delete !== true && options.rate === undefined) {
    throw usage("a limit needs a rate", "write --rate 1000/s");
  }
  const spec = specOf(action, options);
  const addresses = targets.map(parseTarget);
  const backend = await context.backend();
  if (options.delete === true) {
    const deleted = await remove(backend, options.all === true ? { ...spec, all: true } : spec, addresses);
    context.terminal.line(`${deleted} ${deleted === 1 ? "rule" : "rules"} deleted`);
    context.terminal.json({ deleted });
    return;
  }
  const rules = await add(backend, spec, addresses);
  for (const rule of rules) context.terminal.line(ruleLine(rule));
  context.terminal.json({ rules });
}

function rule(
  program: Command,
  context: Context,
  action: RuleSpec["action"],
  description: string,
  examples: readonly Example[],
): void {
  const command = leaf(program, `${action} [address...]`, description, examples);
  if (action === "limit") {
    command
      .option("-r, --rate <rate>", "packets per second of each source: 1000/s, 10k", parser(parseRate))
      .option("-b, --burst <n>", "packets that may come at once", (text) => parseCount("burst", text));
  } else {
    command
      .option("-p, --port <port>", "destination port", parser(parsePort))
      .option("--proto <proto>", "tcp or udp; both by default", parser(parseProto));
  }
  command
    .option("--for <duration>", "how long it holds: 90s, 10m, 1h30m; for ever by default", parser(parseDuration))
    .option("-i, --interface <if>", "only the guard on this interface; every guard by default", parser(interfaceName))
    .option("-d, --delete", "delete the rule instead")
    .option("--all", `with --delete: every ${action} rule`)
    .action((targets: string[], options: RuleOptions) => act(context, action, targets, options));
}

export function registerAllow(program: Command, context: Context): void {
  rule(program, context, "allow", "let sources through, before any deny is asked", [
    ["xdpctl allow 192.0.2.10", "one address"],
    ["xdpctl allow 192.0.2.0/24 --for 1h", "a network, for an hour"],
    ["xdpctl allow --delete 192.0.2.10", "no longer"],
  ]);
}

export function registerDeny(program: Command, context: Context): void {
  rule(program, context, "deny", "drop packets by source, port, or both", [
    ["xdpctl deny 198.51.100.0/24 --for 10m", "a network, for ten minutes"],
    ["xdpctl deny --port 23", "a port, whoever asks"],
    ["xdpctl deny 198.51.100.7 --port 22 --proto tcp", "one source at one port"],
    ["xdpctl deny --delete 198.51.100.0/24", "no longer"],
    ["xdpctl deny --delete --all", "delete every deny rule"],
  ]);
}

export function registerLimit(program: Command, context: Context): void {
  rule(program, context, "limit", "limit the packets per second of each source", [
    ["xdpctl limit 0.0.0.0/0 --rate 1000/s --burst 200", "every IPv4 source"],
    ["xdpctl limit 2001:db8::/32 --rate 10k", "the sources of one network"],
    ["xdpctl limit --delete 0.0.0.0/0", "no longer"],
  ]);
}
