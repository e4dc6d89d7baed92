// SPDX-License-Identifier: MIT
import type { MapEntry, Plain } from "../rpc/index.js";
import { usage } from "./command.js";
import type { Cell } from "./table.js";
import type { Column } from "./terminal.js";

/** Integers that a double can't hold become decimal strings, as they are everywhere in xdpctl. */
function exactJson(text: string): Plain {
  const safe = text.replace(/"(?:\\.|[^"\\])*"|-?\d+(?![\d.eE])/g, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${token}"`,
  );
  return JSON.parse(safe) as Plain;
}

function scalar(text: string): Plain {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  if (/^0x[0-9a-f]+$/i.test(text)) {
    const value = BigInt(text);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
  }
  if (/^-?\d+\.\d+$/.test(text)) return Number(text);
  if (text === "true" || text === "false") return text === "true";
  if (text === "null") return null;
  return text;
}

function assign(object: { [name: string]: Plain }, path: string[], value: Plain): void {
  const [head = "", ...rest] = path;
  if (rest.length === 0) {
    Object.defineProperty(object, head, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const inner = Object.hasOwn(object, head) ? object[head] : undefined;
  const next = typeof inner === "object" && inner !== null && !Array.isArray(inner) ? inner : {};
  assign(next, rest, value);
  assign(object, [head], next);
}

/**
 * A key or value as it is typed: JSON (`{"addr":"10.0.0.1","prefixLen":32}`), fields (`addr=10.0.0.1,prefixLen=32`),
 * or a plain number or text. Throws XDPCTL_E_USAGE.
 */
export function parsePlain(text: string): Plain {
  const trimmed = text.trim();
  if (/^[{["]/.test(trimmed)) {
    try {
      return exactJson(trimmed);
    } catch (error) {
      throw usage(`${JSON.stringify(text)} is no JSON: ${(error as Error).message}`);
    }
  }
  if (/^[A-Za-z_][\w.]*=/.test(trimmed)) {
    const object: { [name: string]: Plain } = {};
    for (const part of trimmed.split(",")) {
      const at = part.indexOf("=");
      if (at <= 0) throw usage(`${JSON.stringify(part)} is no field: write NAME=VALUE`);
      assign(object, part.slice(0, at).trim().split("."), scalar(part.slice(at + 1).trim()));
    }
    return object;
  }
  return scalar(trimmed);
}

/** One cell: text as it is, structures as fields or JSON. */
export function formatPlain(value: Plain): string {
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(formatPlain).join(", ")}]`;
  return Object.entries(value)
    .map(([name, inner]) => `${name}=${typeof inner === "object" && inner !== null ? nested(inner) : String(inner)}`)
    .join(" ");
}

function nested(value: Plain): string {
  return Array.isArray(value) ? formatPlain(value) : `{${formatPlain(value)}}`;
}

function fields(values: readonly Plain[]): string[] | undefined {
  const [first] = values;
  if (first === undefined || first === null || typeof first !== "object" || Array.isArray(first)) return undefined;
  const names = Object.keys(first);
  return names.length > 0 && names.length <= 12 ? names : undefined;
}

function cells(value: Plain, names: string[] | undefined): Cell[] {
  if (names === undefined) return [formatPlain(value)];
  const object = value as { [name: string]: Plain };
  return names.map((name) => {
    const inner = object[name];
    return inner === undefined || inner === null ? null : typeof inner === "object" ? nested(inner) : String(inner);
  });
}

/** The entries of a map as a table: a column for each field of a structure. */
export function entryTable(entries: readonly MapEntry[]): { columns: Column[]; rows: Cell[][] } {
  const keyNames = fields(entries.map((entry) => entry.key));
  const valueNames = fields(entries.map((entry) => entry.value));
  const titles = [...(keyNames ?? ["KEY"]), ...(valueNames ?? ["VALUE"])];
  const rows = entries.map((entry) => [...cells(entry.key, keyNames), ...cells(entry.value, valueNames)]);
  const columns = titles.map((title, i): Column => {
    const numeric = rows.length > 0 && rows.every((row) => /^-?\d+$/.test(String(row[i])));
    return { title: title.toUpperCase(), align: numeric ? "right" : "left" };
  });
  return { columns, rows };
}
