// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  readonly link: number;
  readonly info: number;
}

const EM_BPF = 247;
const SHT_NOBITS = 8;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_REL = 9;
/** Bytes of an object at most. */
export const MAX_OBJECT = 64 << 20;

/**
 * Reads a BPF object file (ELF64, little-endian, relocatable) and checks every offset, index and string in it.
 *
 * libbpf 1.1 crashes on one in fifty damaged files; what passes here is at least whole. Throws XDPCTL_E_BAD_OBJECT.
 */
export function readElf(bytes: Uint8Array, name: string): Section[] {
  const bad = (why: string): XdpctlError => new XdpctlError("XDPCTL_E_BAD_OBJECT", `${name} ${why}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint32(0, false) !== 0x7f454c46) throw bad("is not an ELF file");
  if (bytes.length < 64) throw bad("is cut short");
  if (bytes.length > MAX_OBJECT) throw bad("is larger than 64 MiB");
  if (bytes[4] !== 2 || bytes[5] !== 1) throw bad("is not a little-endian 64-bit object");
  if (view.getUint16(18, true) !== EM_BPF) {
    throw bad(`is an ELF file, but not for BPF (machine ${view.getUint16(18, true)})`);
  }
  if (view.getUint16(16, true) !== 1) throw bad("is not a relocatable object");
  const start = Number(view.getBigUint64(40, true));
  const entry = view.getUint16(58, true);
  const count = view.getUint16(60, true);
  const namesAt = view.getUint16(62, true);
  if (entry !== 64 || count === 0 || namesAt >= count) throw bad("has a damaged section table");
  if (start + count * 64 > bytes.length) throw bad("is cut short: the section table is missing");
  const sections: (Section & { nameAt: number })[] = [];
  for (let i = 0; i < count; i++) {
    const at = start + i * 64;
    const type = view.getUint32(at + 4, true);
    const offset = Number(view.getBigUint64(at + 24, true));
    const size = Number(view.getBigUint64(at + 32, true));
    const inFile = type === 0 || type === SHT_NOBITS ? 0 : size;
    if (offset > bytes.length || offset + inFile > bytes.length || size > MAX_OBJECT)
      throw bad("is cut short or damaged");
    sections.push({
      nameAt: view.getUint32(at, true),
      name: "",
      type,
      flags: Number(view.getBigUint64(at + 8, true)),
      data: inFile === 0 ? new Uint8Array(type === SHT_NOBITS ? size : 0) : bytes.subarray(offset, offset + size),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
    });
  }
  const names = sections[namesAt];
  if (names?.type !== SHT_STRTAB) throw bad("has no section names");
  const named = sections.map((section) => ({ ...section, name: stringAt(names.data, section.nameAt, bad) }));
  for (const section of named) checkSection(section, named, bad);
  return named;
}

function stringAt(table: Uint8Array, at: number, bad: (why: string) => XdpctlError): string {
  const end = at < table.length ? table.indexOf(0, at) : -1;
  if (end < 0) throw bad("has a name outside of its string table");
  return Buffer.from(table.subarray(at, end)).toString("utf8");
}

function checkSection(section: Section, all: readonly Section[], bad: (why: string) => XdpctlError): void {
  const view = new DataView(section.data.buffer, section.data.byteOffset, section.data.byteLength);
  if (section.type === SHT_SYMTAB) {
    const strings = all[section.link];
    if (strings?.type !== SHT_STRTAB || section.data.length % 24 !== 0) throw bad("has a damaged symbol table");
    for (let at = 0; at < section.data.length; at += 24) {
      stringAt(strings.data, view.getUint32(at, true), bad);
      const index = view.getUint16(at + 6, true);
      const value = view.getBigUint64(at + 8, true);
      const size = view.getBigUint64(at + 16, true);
      const home = all[index];
      if (index >= 0xff00) continue;
      if (home === undefined) throw bad("has a symbol outside of its sections");
      const kind = (view.getUint8(at + 4) & 0xf) as number;
      if ((kind === 1 || kind === 2) && value + size > BigInt(home.data.length))
        throw bad("has a symbol past its section's end");
    }
  } else if (section.type === SHT_REL) {
    const symbols = all[section.link];
    const target = all[section.info];
    if (symbols?.type !== SHT_SYMTAB || target === undefined || section.data.length % 16 !== 0) {
      throw bad("has damaged relocations");
    }
    for (let at = 0; at < section.data.length; at += 16) {
      const offset = view.getBigUint64(at, true);
      const symbol = view.getUint32(at + 12, true);
      if (offset >= BigInt(Math.max(target.data.length, 1)) || symbol >= symbols.data.length / 24) {
        throw bad("has a relocation outside of its section");
      }
    }
  } else if ((section.flags & 4) !== 0 && section.data.length % 8 !== 0) {
    throw bad(`has a section ${section.name} that is no whole number of instructions`);
  }
}

export interface ElfSymbol {
  readonly name: string;
  readonly kind: "function" | "object" | "other";
  readonly section: string;
  /** Offset in its section, bytes. */
  readonly value: number;
}

/** The symbols of a file that `readElf` has checked. */
export function readSymbols(sections: readonly Section[]): ElfSymbol[] {
  const table = sections.find((section) => section.type === SHT_SYMTAB);
  const strings = table === undefined ? undefined : sections[table.link];
  if (table === undefined || strings === undefined) return [];
  const view = new DataView(table.data.buffer, table.data.byteOffset, table.data.byteLength);
  const found: ElfSymbol[] = [];
  for (let at = 0; at < table.data.length; at += 24) {
    const home = sections[view.getUint16(at + 6, true)];
    if (home === undefined) continue;
    const start = view.getUint32(at, true);
    const kind = view.getUint8(at + 4) & 0xf;
    found.push({
      name: Buffer.from(strings.data.subarray(start, strings.data.indexOf(0, start))).toString("utf8"),
      kind: kind === 2 ? "function" : kind === 1 ? "object" : "other",
      section: home.name,
      value: Number(view.getBigUint64(at + 8, true)),
    });
  }
  return found;
}
