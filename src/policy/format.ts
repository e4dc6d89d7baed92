// SPDX-License-Identifier: MIT
/* `string.format` with exact integers of any size; fengari's own stops at 32 bits. */
import { reserve } from "./guard.js";
import {
  argument,
  bytesOf,
  FLOAT,
  fail,
  INTEGER,
  type LuaState,
  lauxlib,
  lobject,
  lstring,
  lua,
  pushString,
  STRING,
  type TString,
} from "./lua.js";
import { exactInteger } from "./numbers.js";

interface Spec {
  flags: string;
  width: number;
  precision: number | undefined;
  kind: string;
}

const SPEC = /^%([-+ #0]*)(\d{0,2})(?:\.(\d{0,2}))?([a-zA-Z])/;

function pad(text: string, { flags, width }: Spec, zeros: boolean): string {
  if (text.length >= width) return text;
  if (flags.includes("-")) return text.padEnd(width);
  if (!zeros || !flags.includes("0")) return text.padStart(width);
  const [, sign = "", digits = ""] = /^([-+ ]?(?:0[xX])?)(.*)$/s.exec(text) ?? [];
  return sign + digits.padStart(width - sign.length, "0");
}

function signed(text: string, negative: boolean, { flags }: Spec): string {
  return (negative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") + text;
}

function integer(L: LuaState, index: number, spec: Spec): string {
  let value = exactInteger(argument(L, index));
  if (value === undefined && argument(L, index)?.type === STRING) {
    const number = new lobject.TValue(INTEGER, 0);
    const bytes = lauxlib.luaL_checkstring(L, index);
    if (lobject.luaO_str2num(bytes, number) === bytes.length + 1) value = exactInteger(number);
  }
  // The right error: "number expected" or "number has no integer representation".
  if (value === undefined) return `${lauxlib.luaL_checkinteger(L, index)}`;
  const decimal = spec.kind === "d" || spec.kind === "i";
  const negative = value < 0n && decimal;
  if (value < 0n) value = decimal ? -value : BigInt.asUintN(value < -(2n ** 31n) ? 64 : 32, value);
  const radix = decimal || spec.kind === "u" ? 10 : spec.kind === "o" ? 8 : 16;
  let text = value.toString(radix);
  if (spec.kind === "X") text = text.toUpperCase();
  if (spec.precision !== undefined) text = text.padStart(spec.precision, "0");
  if (radix === 16 && spec.flags.includes("#") && value !== 0n) text = `0${spec.kind}${text}`;
  return pad(decimal ? signed(text, negative, spec) : text, spec, spec.precision === undefined);
}

function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function general(n: number, precision: number, alternative: boolean): string {
  const digits = precision === 0 ? 1 : precision;
  if (n === 0) return "0";
  const power = Number(n.toExponential(digits - 1).split("e")[1]);
  const scientific = power < -4 || power >= digits;
  const text = scientific ? n.toExponential(digits - 1) : n.toFixed(digits - 1 - power);
  return exponent(alternative ? text : text.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, ""));
}

function float(L: LuaState, index: number, spec: Spec): string {
  const value = argument(L, index);
  const exact = value?.type === FLOAT || value?.type === INTEGER ? undefined : exactInteger(value);
  const n = exact === undefined ? lauxlib.luaL_checknumber(L, index) : Number(exact);
  const negative = n < 0 || Object.is(n, -0);
  const size = Math.abs(n);
  const precision = spec.precision ?? 6;
  let text: string;
  if (!Number.isFinite(size)) text = Number.isNaN(size) ? "nan" : "inf";
  else if (spec.kind === "f" || spec.kind === "F")
    text = size < 1e21 ? size.toFixed(precision) : `${BigInt(size)}${precision > 0 ? `.${"0".repeat(precision)}` : ""}`;
  else if (spec.kind === "e" || spec.kind === "E") text = exponent(size.toExponential(precision));
  else text = general(size, precision, spec.flags.includes("#"));
  if (spec.kind === spec.kind.toUpperCase()) text = text.toUpperCase();
  return pad(signed(text, negative, spec), spec, Number.isFinite(size));
}

function quoted(L: LuaState, index: number): string {
  const value = argument(L, index);
  if (value?.type !== STRING) return Buffer.from(lauxlib.luaL_tolstring(L, index)).toString("latin1");
  const text = Buffer.from((value.value as TString).realstring).toString("latin1");
  const escaped = text
    .replace(/["\\\n]/g, "\\$&")
    .replace(/\r/g, "\\r")
    .replace(/\0(?=\d)/g, "\\000");
  return `"${escaped.replace(/\0/g, "\\0")}"`;
}

function one(L: LuaState, index: number, spec: Spec): string {
  switch (spec.kind) {
    case "d":
    case "i":
    case "u":
    case "o":
    case "x":
    case "X":
      return integer(L, index, spec);
    case "e":
    case "E":
    case "f":
    case "F":
    case "g":
    case "G":
      return float(L, index, spec);
    case "c":
      return pad(String.fromCharCode(lauxlib.luaL_checkinteger(L, index) & 255), spec, false);
    case "q":
      return quoted(L, index);
    case "s": {
      const bytes = lauxlib.luaL_tolstring(L, index);
      reserve(L, bytes.length);
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
      lua.lua_pop(L, 1);
      return pad(spec.precision === undefined ? text : text.slice(0, spec.precision), spec, false);
    }
    default:
      return fail(L, `invalid option '%${spec.kind}' to 'format'`);
  }
}

/** The formatted text of the arguments from `first` (the format) on, as bytes in a JavaScript string. */
export function formatted(L: LuaState, first: number): string {
  const bytes = lauxlib.luaL_checkstring(L, first);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const top = lua.lua_gettop(L);
  let out = "";
  let index = first;
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf("%", at);
    if (next < 0) {
      out += text.slice(at);
      break;
    }
    out += text.slice(at, next);
    if (text[next + 1] === "%") {
      out += "%";
      at = next + 2;
      continue;
    }
    const found = SPEC.exec(text.slice(next, next + 16));
    if (found === null) fail(L, `invalid format (${text.slice(next, next + 8)})`);
    const [whole, flags = "", width = "", precision, kind = ""] = found;
    if (++index > top) lauxlib.luaL_argerror(L, index, bytesOf("no value"));
    const spec = {
      flags,
      width: Number(width),
      precision: precision === undefined ? undefined : Number(precision),
      kind,
    };
    out += one(L, index, spec);
    reserve(L, out.length);
    at = next + whole.length;
  }
  return out;
}

/** `string.format`. */
export function format(L: LuaState): number {
  const text = formatted(L, 1);
  pushString(L, lstring.luaS_bless(L, Uint8Array.from(Buffer.from(text, "latin1"))));
  return 1;
}
