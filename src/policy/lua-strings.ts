// SPDX-License-Identifier: MIT
/*
 * Changes to fengari that must be there before its other modules take these functions by name: this module is imported
 * first. Strings are counted (V8's limits do not see them) and hashed by one conversion; whole numbers print as such.
 */
import lstring, { type TString } from "fengari/src/lstring.js";
import luaconf from "fengari/src/luaconf.js";

/** What a string costs beside its bytes, roughly: the objects around them. */
const STRING_OVERHEAD = 160;

/** Bytes of strings made since the memory was last measured. */
export const allocated = { bytes: 0 };

const Plain = lstring.TString;

function make(L: unknown, bytes: Uint8Array): TString {
  allocated.bytes += bytes.length + STRING_OVERHEAD;
  const ts = new Plain(L, bytes);
  // Every string has the same shape, so that reading `cidr` stays fast.
  ts.cidr = undefined;
  return ts;
}

function latin1(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > 24) return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("latin1");
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

lstring.luaS_bless = make;
// A function, not an arrow: ltm.js calls it with `new`.
lstring.luaS_new = function luaS_new(L: unknown, bytes: Uint8Array): TString {
  return make(L, bytes.slice());
};
lstring.luaS_newliteral = (L, text) => make(L, Uint8Array.from(Buffer.from(text)));
// fengari's own hash writes bytes as hexadecimal without padding: "\x01#" and "\x12\x03" would be one key.
lstring.luaS_hash = (bytes) => `|${latin1(bytes)}`;
lstring.luaS_hashlongstr = (ts) => {
  ts.hash ??= `|${latin1(ts.realstring)}`;
  return ts.hash;
};

// Counters beyond 2^31 are floats here: `3000000000`, not `3000000000.0` or `3e+09`.
luaconf.LUA_COMPAT_FLOATSTRING = true;
luaconf.lua_number2str = (n) => {
  if (Number.isInteger(n) && Math.abs(n) <= 2 ** 53) return String(n);
  if (n === Number.POSITIVE_INFINITY) return "inf";
  if (n === Number.NEGATIVE_INFINITY) return "-inf";
  if (Number.isNaN(n)) return "nan";
  const text = Number(n.toPrecision(14));
  return (Math.abs(n) > 2 ** 53 ? text.toExponential() : String(text)).replace(/e([+-])(\d)$/, "e$10$2");
};
luaconf.LUAI_MAXSTACK = 200_000;
