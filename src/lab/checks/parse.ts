// SPDX-License-Identifier: MIT
import type { LabDocument, Path } from "../document.js";
import { parseIp } from "../ip.js";
import type { CheckFile } from "../schema.js";
import { shown } from "../shown.js";
import type { NodeSpec } from "../spec.js";
import { bitsPerSecond, milliseconds } from "./amounts.js";
import type { CheckSpec, OutputSpec, PlainValue, Step } from "./spec.js";

type Kind = CheckSpec["kind"];
type Key = keyof CheckFile;

/** What each kind of check needs and may have beside `after`, `within` and the key that is its name. */
const KINDS: Record<Kind, { needs: readonly Key[]; may: readonly Key[]; within: string; fails?: string }> = {
  ping: { needs: ["from"], may: ["count", "fails"], within: "2s", fails: "1s" },
  tcp: { needs: ["from"], may: ["fails"], within: "2s", fails: "1s" },
  udp: { needs: ["from"], may: ["fails"], within: "2s", fails: "1s" },
  exec: { needs: ["on"], may: ["status", "stdout", "stderr"], within: "30s" },
  xdp: { needs: ["on"], may: ["program", "verdict", "at-least", "at-most"], within: "2s" },
  map: { needs: ["on", "key"], may: ["value", "fails"], within: "2s", fails: "500ms" },
  seen: { needs: ["at"], may: ["count", "fails"], within: "2s", fails: "1s" },
  throughput: { needs: ["from", "to"], may: ["for"], within: "1m" },
};
const NAMES = Object.keys(KINDS) as Kind[];

/** The checks of a lab file. Problems are noted in `document`, each where it is. */
export function parseChecks(
  document: LabDocument,
  checks: Readonly<Record<string, CheckFile>>,
  nodes: readonly NodeSpec[],
  bridges: readonly string[],
): CheckSpec[] {
  const reader = new Reader(document, Object.keys(checks), nodes, bridges);
  return Object.entries(checks).flatMap(([name, check]) => reader.read(name, check) ?? []);
}

class Reader {
  readonly #document: LabDocument;
  /** The checks, and which comes first. */
  readonly #names: ReadonlyMap<string, number>;
  readonly #owners = new Map<bigint, string>();
  readonly #nodes: ReadonlyMap<string, NodeSpec>;
  readonly #bridges: readonly string[];

  constructor(document: LabDocument, names: readonly string[], nodes: readonly NodeSpec[], bridges: readonly string[]) {
    this.#document = document;
    this.#names = new Map(names.map((name, i) => [name, i]));
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
    for (const node of nodes) {
      for (const prefix of node.interfaces.flatMap((one) => one.addresses)) {
        const ip = parseIp(prefix.split("/")[0] ?? "");
        if (ip !== undefined) this.#owners.set(ownerKey(ip), node.name);
      }
    }
    this.#bridges = bridges;
  }

  read(name: string, check: CheckFile): CheckSpec | undefined {
    const path = ["checks", name];
    const kind = this.#kind(path, check);
    if (kind === undefined) return undefined;
    const fails = check.fails === true;
    const { within, fails: quiet } = KINDS[kind];
    const common = {
      name,
      after: this.#steps(path, check.after),
      within: milliseconds(check.within ?? (fails ? (quiet ?? within) : within)),
      fails,
    };
    if (common.within === 0) this.#document.problem([...path, "within"], "`within` must be longer than nothing", true);
    switch (kind) {
      case "ping": {
        const address = this.#resolve([...path, "ping"], check.ping ?? "")?.address ?? "";
        const from = this.#machine([...path, "from"], check.from);
        return { ...common, kind, from, target: check.ping ?? "", address, count: check.count ?? 1 };
      }
      case "tcp":
      case "udp": {
        const { to = "", port = 0 } = check[kind] ?? {};
        const at = [...path, kind, "to"];
        const found = this.#resolve(at, to);
        if (kind === "udp" && found?.machine === undefined && this.#document.problems.length === 0) {
          this.#document.problem(at, `no machine of this lab has ${shown(to)}: nobody could hear the datagram`, true);
        }
        const from = this.#machine([...path, "from"], check.from);
        return { ...common, kind, from, target: to, address: "", ...found, port };
      }
      case "exec": {
        const stdout = this.#output([...path, "stdout"], check.stdout);
        const stderr = this.#output([...path, "stderr"], check.stderr);
        return {
          ...common,
          kind,
          on: this.#machine([...path, "on"], check.on),
          exec: words(check.exec),
          status: check.status ?? 0,
          ...(stdout === undefined ? {} : { stdout }),
          ...(stderr === undefined ? {} : { stderr }),
        };
      }
      case "xdp":
        return { ...common, kind, ...this.#xdp(path, check) };
      case "map":
        return {
          ...common,
          kind,
          on: this.#machine([...path, "on"], check.on),
          map: check.map ?? "",
          key: (check.key ?? 0) as PlainValue,
          ...(check.value === undefined ? {} : { value: check.value as PlainValue }),
        };
      case "seen":
        this.#place([...path, "at"], check.at ?? "");
        return { ...common, kind, at: check.at ?? "", filter: check.seen ?? "", count: check.count ?? 1 };
      case "throughput": {
        const to = this.#machine([...path, "to"], check.to);
        return {
          ...common,
          kind,
          from: this.#machine([...path, "from"], check.from),
          to,
          address: this.#address([...path, "to"], to),
          rate: bitsPerSecond(check.throughput ?? ""),
          duration: milliseconds(check.for ?? "1s"),
        };
      }
    }
  }

  /** The one kind that a check is of, and nothing that does not belong to it. */
  #kind(path: Path, check: CheckFile): Kind | undefined {
    const kinds = NAMES.filter((kind) => check[kind] !== undefined);
    const [kind, second] = kinds;
    if (kind === undefined) {
      this.#document.problem(path, `a check needs one of ${NAMES.map((one) => `\`${one}\``).join(", ")}`);
      return undefined;
    }
    if (second !== undefined) {
      this.#document.problem([...path, second], `a check is about one thing: \`${kind}\` or \`${second}\`?`);
      return undefined;
    }
    const { needs, may } = KINDS[kind];
    for (const key of needs) {
      if (check[key] === undefined) this.#document.problem(path, `a check with \`${kind}\` needs \`${key}\``);
    }
    const known = new Set<string>(["after", "within", kind, ...needs, ...may]);
    for (const key of Object.keys(check)) {
      if (!known.has(key)) this.#document.problem([...path, key], `\`${key}\` says nothing beside \`${kind}\``);
    }
    return kind;
  }

  #machine(path: Path, name = ""): string {
    if (!this.#nodes.has(name) && name !== "") {
      const hint = this.#document.hint(name, this.#nodes.keys());
      this.#document.problem(path, `there is no machine ${shown(name)}${hint}`, true);
    }
    return name;
  }

  #interface(path: Path, machine: string, name: string): void {
    const interfaces = this.#nodes.get(machine)?.interfaces.map((one) => one.name);
    if (interfaces === undefined || interfaces.includes(name)) return;
    const hint = this.#document.hint(name, interfaces);
    this.#document.problem(path, `${shown(machine)} has no interface ${shown(name)}${hint}`, true);
  }

  /** The address that the machines know under a name, or that it is itself, and whose it is. */
  #resolve(path: Path, target: string): { address: string; machine?: string } | undefined {
    const ip = parseIp(target);
    if (ip !== undefined) {
      const machine = this.#owners.get(ownerKey(ip));
      return { address: target, ...(machine === undefined ? {} : { machine }) };
    }
    const six = target.endsWith("6") ? this.#nodes.get(target.slice(0, -1)) : undefined;
    const node = this.#nodes.get(target) ?? six;
    if (node === undefined) {
      const hint = this.#document.hint(target, this.#nodes.keys());
      this.#document.problem(path, `${shown(target)} is neither a machine nor an address${hint}`, true);
      return undefined;
    }
    return { address: this.#address(path, node.name, node === six && !this.#nodes.has(target)), machine: node.name };
  }

  /** A machine's first IPv4 address, else IPv6; with `six` only IPv6: as /etc/hosts of the machines has it. */
  #address(path: Path, machine: string, six = false): string {
    const all = this.#nodes
      .get(machine)
      ?.interfaces.flatMap((one) => one.addresses.map((it) => it.split("/")[0] ?? ""));
    if (all === undefined) return "";
    const v4 = six ? undefined : all.find((address) => !address.includes(":"));
    const found = v4 ?? all.find((address) => address.includes(":"));
    if (found === undefined) this.#document.problem(path, `${shown(machine)} has no address`, true);
    return found ?? "";
  }

  #place(path: Path, at: string): void {
    const [machine = "", name, more] = at.split(":");
    if (name === undefined && this.#bridges.includes(machine)) return;
    if (name === undefined || more !== undefined) {
      const hint = this.#document.hint(at, this.#nodes.keys(), this.#bridges);
      this.#document.problem(path, `${shown(at)} is neither \`machine:interface\` nor a bridge${hint}`, true);
      return;
    }
    this.#machine(path, machine);
    this.#interface(path, machine, name);
  }

  #steps(path: Path, after: CheckFile["after"]): Step[] {
    const list = after === undefined ? [] : Array.isArray(after) ? after : [after];
    return list.map((step, i): Step => {
      const at = Array.isArray(after) ? [...path, "after", i] : [...path, "after"];
      if (typeof step !== "string") return { on: this.#machine([...at, "on"], step.on), exec: words(step.exec) };
      const own = this.#names.get(String(path[1])) ?? 0;
      const other = this.#names.get(step);
      if (other === undefined) {
        const hint = this.#document.hint(step, this.#names.keys());
        this.#document.problem(at, `there is no check ${shown(step)}${hint}`, true);
      } else if (other >= own) {
        this.#document.problem(at, `the check ${shown(step)} must come before this one`, true);
      }
      return { check: step };
    });
  }

  #output(path: Path, given: CheckFile["stdout"]): OutputSpec | undefined {
    if (given === undefined) return undefined;
    if (typeof given === "string") return { equals: given };
    if (given.matches === undefined && given.contains === undefined) {
      this.#document.problem(path, "it needs `matches` or `contains`, or is a text");
    }
    try {
      if (given.matches !== undefined) new RegExp(given.matches, "m");
    } catch (error) {
      this.#document.problem([...path, "matches"], (error as Error).message, true);
    }
    return given;
  }

  #xdp(path: Path, check: CheckFile) {
    const on = this.#machine([...path, "on"], check.on);
    const name = check.xdp ?? "";
    this.#interface([...path, "xdp"], on, name);
    const { verdict, program } = check;
    const most = check["at-most"];
    if (verdict === undefined && (check["at-least"] ?? most) !== undefined) {
      this.#document.problem(path, "`at-least` and `at-most` count a `verdict`");
    }
    const least = check["at-least"] ?? (verdict === undefined || most !== undefined ? undefined : 1);
    return {
      on,
      interface: name,
      ...(program === undefined ? {} : { program }),
      ...(verdict === undefined ? {} : { verdict: verdict.toLowerCase() }),
      ...(least === undefined ? {} : { atLeast: least }),
      ...(most === undefined ? {} : { atMost: most }),
    };
  }
}

/** IPv6 addresses below 2^32 are none that a machine has. */
const ownerKey = ({ family, value }: { family: 4 | 6; value: bigint }): bigint => (family === 4 ? value : value << 32n);

function words(given: readonly (string | number)[] = []): [string, ...string[]] {
  const [first = "", ...others] = given.map(String);
  return [first, ...others];
}
