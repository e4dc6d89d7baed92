// SPDX-License-Identifier: MIT
import { createRequire } from "node:module";
import type * as Yaml from "yaml";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { shown } from "./shown.js";

/** Loaded with the first lab file: commands that read none do not pay its 30 ms. */
let yaml_: typeof Yaml | undefined;
function yaml(): typeof Yaml {
  yaml_ ??= createRequire(import.meta.url)("yaml") as typeof Yaml;
  return yaml_;
}

type Node = Yaml.Node;

/** The part of JSON Schema that lab files need. */
export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly Schema[];
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Where something stands: the keys that lead to it. */
export type Path = readonly (string | number)[];

export interface Problem {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const MAX_BYTES = 1 << 20;
const MAX_VALUES = 100_000;
const MAX_DEPTH = 16;
const SHOWN_PROBLEMS = 5;
/** Problems with a guess at what was meant: to compare with thousands of names takes its time. */
const HINTS = 50;
/** Characters of a source line, and of another's message, that are shown. */
const MAX_SHOWN = 160;

const pathKey = (path: Path): string => path.map(String).join("\0");

/** A YAML text that is checked against a schema, with the place of everything in it. */
export class LabDocument {
  readonly file: string;
  readonly problems: Problem[] = [];
  readonly #text: string;
  readonly #lines = new (yaml().LineCounter)();
  readonly #names = new Map<string, number>();
  readonly #values = new Map<string, number>();
  #visited = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.file = file;
  }

  /** The checked value. Throws XDPCTL_E_LAB_FILE with every problem when there is one. */
  check(schema: Schema): unknown {
    if (this.#text.length > MAX_BYTES) this.fail([], "a lab file has at most one mebibyte");
    const document = yaml().parseDocument(this.#text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      // Theirs compares each name with each other; ours is in #map.
      uniqueKeys: false,
    });
    for (const error of document.errors) this.#add(error.pos[0], this.#yamlProblem(error));
    this.raise();
    this.#document = document;
    const value = this.#walk(document.contents as Node | null, schema, [], 0);
    this.raise();
    return value;
  }

  #yamlProblem({ code, message, pos }: Yaml.YAMLParseError): string {
    if (code === "MULTIPLE_DOCS") {
      return `one lab a file: there is a second document at line ${this.#lines.linePos(pos[0]).line}`;
    }
    if (/call stack/i.test(message)) return "it is nested too deep";
    const text = message.split("\n")[0] ?? "";
    return `not valid YAML: ${text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text}`;
  }

  #document: Yaml.Document.Parsed | undefined;
  #targets: Map<Yaml.Alias, Node> | undefined;

  /** What an alias stands for: the nearest node before it that has its name. */
  #resolve(alias: Yaml.Alias): Node | undefined {
    if (this.#targets === undefined) {
      const targets = new Map<Yaml.Alias, Node>();
      const anchors = new Map<string, Node>();
      yaml().visit(this.#document ?? null, {
        Node(_, node) {
          if (yaml().isAlias(node)) {
            const target = anchors.get(node.source);
            if (target !== undefined) targets.set(node, target);
          } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
        },
      });
      this.#targets = targets;
    }
    return this.#targets.get(alias);
  }

  /** `(did you mean …?)`, or nothing. */
  hint(word: string, ...names: Iterable<string>[]): string {
    if (this.problems.length >= HINTS) return "";
    return didYouMean(
      word,
      names.flatMap((some) => [...some]),
    );
  }

  /** Notes a problem at the name that ends `path`, or of its nearest parent; with `value`, at what that name has. */
  problem(path: Path, message: string, value = false): void {
    for (let end = path.length; end >= 0; end--) {
      const key = pathKey(path.slice(0, end));
      const at = (value ? undefined : this.#names.get(key)) ?? this.#values.get(key);
      if (at === undefined) continue;
      this.#add(at, message);
      return;
    }
    this.#add(0, message);
  }

  /** `line L` of a path, for messages that name another place. */
  where(path: Path): string {
    const at = this.#names.get(pathKey(path)) ?? this.#values.get(pathKey(path));
    return at === undefined ? "elsewhere" : `line ${this.#lines.linePos(at).line}`;
  }

  #add(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message });
  }

  /** Notes a problem and ends at once. */
  fail(path: Path, message: string): never {
    this.problem(path, message);
    this.raise();
    throw new XdpctlError("XDPCTL_E_INTERNAL", message);
  }

  /** Throws when there are problems: the first is the message, with its line of the file; the others follow. */
  raise(): void {
    if (this.problems.length === 0) return;
    const sorted = [...this.problems].sort((a, b) => a.line - b.line || a.column - b.column);
    const [first, ...others] = sorted as [Problem, ...Problem[]];
    const place = (p: Problem): string => `${this.file}:${p.line}:${p.column}: ${p.message}`;
    const source = this.#text.split("\n")[first.line - 1] ?? "";
    const lines: string[] = source.trim() === "" ? [] : excerpt(source, first.column);
    lines.push(...others.slice(0, SHOWN_PROBLEMS).map(place));
    if (others.length > SHOWN_PROBLEMS) lines.push(`… and ${others.length - SHOWN_PROBLEMS} more`);
    throw new XdpctlError("XDPCTL_E_LAB_FILE", place(first), { lines });
  }

  #walk(node: Node | null | undefined, schema: Schema, path: Path, depth: number): unknown {
    if (++this.#visited > MAX_VALUES || depth > MAX_DEPTH) this.fail(path, "too many or too deeply nested values");
    // An alias stands where it is used, not where its anchor is.
    if (node?.range != null && !this.#values.has(pathKey(path))) this.#values.set(pathKey(path), node.range[0]);
    if (yaml().isAlias(node)) return this.#walk(this.#resolve(node), schema, path, depth + 1);
    const choice = this.#choose(node, schema);
    if (choice === undefined) {
      this.problem(path, `${label(path)} must be ${expected(schema)}, not ${typeOf(node)}`, true);
      return undefined;
    }
    if (yaml().isMap(node)) return this.#map(node, choice, path, depth);
    if (yaml().isSeq(node)) return this.#sequence(node.items as Node[], choice, path, depth);
    if (choice.type === "number" && yaml().isScalar(node)) return node.source ?? String(node.value);
    const value: unknown = yaml().isScalar(node) ? node.value : null;
    this.#scalar(value, choice, path);
    return value;
  }

  #choose(node: Node | null | undefined, schema: Schema): Schema | undefined {
    const type = typeOf(node);
    return (schema.anyOf ?? [schema]).find((one) => TYPE_NAMES[one.type ?? ""] === type);
  }

  #map(node: Node, schema: Schema, path: Path, depth: number): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    if (!yaml().isMap(node)) return out;
    const seen = new Set<string>();
    for (const pair of node.items) {
      const key = yaml().isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : "";
      const name = yaml().isScalar(pair.key) && pair.key.type !== "PLAIN" ? String(pair.key.value) : key;
      const at = [...path, name];
      const offset = (pair.key as Node | null)?.range?.[0];
      if (seen.has(name)) {
        this.#add(offset ?? 0, `the name ${shown(name)} is there twice`);
        continue;
      }
      seen.add(name);
      if (offset !== undefined) this.#names.set(pathKey(at), offset);
      const known = schema.properties !== undefined && Object.hasOwn(schema.properties, name);
      const inner = known ? schema.properties?.[name] : schema.additionalProperties;
      if (inner === undefined || inner === false) {
        const names = Object.keys(schema.properties ?? {});
        this.problem(
          at,
          `${label(path)} has no setting ${shown(name)}${didYouMean(name, names) || `: there are ${names.join(", ")}`}`,
        );
        continue;
      }
      if (schema.propertyNames !== undefined && !known) this.#scalar(name, schema.propertyNames, at, true);
      Object.defineProperty(out, name, {
        value: this.#walk(pair.value as Node | null, inner, at, depth + 1),
        enumerable: true,
      });
    }
    for (const name of schema.required ?? []) {
      if (!Object.hasOwn(out, name)) this.problem(path, `${label(path)} needs \`${name}\``);
    }
    return out;
  }

  #sequence(items: readonly Node[], schema: Schema, path: Path, depth: number): unknown[] {
    const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
    if (items.length < minItems || items.length > maxItems) {
      this.problem(
        path,
        `${label(path)} must have ${minItems === maxItems ? minItems : `at least ${minItems}`} entries, not ${items.length}`,
        true,
      );
    }
    return items.map((item, i) => this.#walk(item, schema.items ?? {}, [...path, i], depth + 1));
  }

  #scalar(value: unknown, schema: Schema, path: Path, isName = false): void {
    if (typeof value === "string" && schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
      this.problem(
        path,
        `${shown(value)}: ${schema.patternErrorMessage ?? `it must match ${schema.pattern}`}`,
        !isName,
      );
    }
    if (typeof value === "number") {
      const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
      if (value < minimum || value > maximum) {
        this.problem(path, `${label(path)} must be between ${minimum} and ${maximum}, not ${value}`, true);
      }
    }
  }
}

/** A source line with a caret below; of a long one, what is around the column (from 1). */
function excerpt(source: string, column: number): [string, string] {
  const start = Math.max(0, Math.min(column - 1 - MAX_SHOWN / 2, source.length - MAX_SHOWN));
  const part = source.slice(start, start + MAX_SHOWN);
  const left = start === 0 ? part : `…${part.slice(1)}`;
  const shown = start + MAX_SHOWN >= source.length ? left : `${left.slice(0, -1)}…`;
  return [shown, `${" ".repeat(Math.max(column - 1 - start, 0))}^`];
}

const TYPE_NAMES: Record<string, string> = {
  object: "a map",
  array: "a list",
  string: "text",
  integer: "a whole number",
  // Taken as it is written: 6.10 is not 6.1.
  number: "a number",
  boolean: "true or false",
  null: "nothing",
};

function typeOf(node: Node | null | undefined): string {
  if (yaml().isMap(node)) return "a map";
  if (yaml().isSeq(node)) return "a list";
  const value: unknown = yaml().isScalar(node) ? node.value : null;
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a number";
  return "something else";
}

function expected(schema: Schema): string {
  const names = (schema.anyOf ?? [schema]).map((one) => TYPE_NAMES[one.type ?? ""] ?? "a value");
  return [...new Set(names)].filter((name) => name !== "nothing").join(" or ");
}

function label(path: Path): string {
  return path.length === 0 ? "a lab file" : shown(path.join("."));
}
