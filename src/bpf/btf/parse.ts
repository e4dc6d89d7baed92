// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { BtfMember, BtfType } from "./types.js";

const MAGIC = 0xeb9f;
const HEADER = 24;

function bad(why: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_BAD_OBJECT", `the BTF is damaged: ${why}`);
}

/** Type information of an object or of the kernel, read once. Every offset is checked: damaged input only throws. */
export class Btf {
  /** Types by id; id 0 is void. */
  readonly types: readonly BtfType[];

  private constructor(types: BtfType[]) {
    this.types = types;
  }

  /** Parses the bytes of a `.BTF` section or of BPF_BTF_GET_FD_BY_ID. Throws XDPCTL_E_BAD_OBJECT. */
  static parse(bytes: Uint8Array): Btf {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER || view.getUint16(0, true) !== MAGIC) throw bad("no header");
    const header = view.getUint32(4, true);
    const typeStart = header + view.getUint32(8, true);
    const typeEnd = typeStart + view.getUint32(12, true);
    const stringStart = header + view.getUint32(16, true);
    const stringEnd = stringStart + view.getUint32(20, true);
    if (typeEnd > bytes.length || stringEnd > bytes.length) throw bad("a section reaches past the end");
    return new Btf(new Reader(view, bytes, typeStart, typeEnd, stringStart, stringEnd).read());
  }

  get(id: number): BtfType {
    const type = this.types[id];
    if (type === undefined) throw bad(`there is no type ${id}`);
    return type;
  }

  /** The type behind typedefs and qualifiers. */
  resolve(id: number): BtfType {
    let type = this.get(id);
    for (let depth = 0; depth < 64; depth++) {
      switch (type.kind) {
        case "typedef":
        case "const":
        case "volatile":
        case "restrict":
        case "type_tag":
          type = this.get(type.type);
          break;
        default:
          return type;
      }
    }
    throw bad("a chain of typedefs does not end");
  }

  /** The first type of that kind and name. */
  find(kind: BtfType["kind"], name: string): BtfType | undefined {
    return this.types.find((type) => type.kind === kind && type.name === name);
  }
}

class Reader {
  #at: number;
  readonly #types: BtfType[] = [{ kind: "void", name: "" }];

  constructor(
    readonly view: DataView,
    readonly bytes: Uint8Array,
    start: number,
    readonly end: number,
    readonly stringStart: number,
    readonly stringEnd: number,
  ) {
    this.#at = start;
  }

  read(): BtfType[] {
    while (this.#at < this.end) this.#types.push(this.#type());
    return this.#types;
  }

  #u32(): number {
    if (this.#at + 4 > this.end) throw bad("a type is cut short");
    const value = this.view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  #name(): string {
    const offset = this.#u32();
    if (offset === 0) return "";
    const start = this.stringStart + offset;
    const stop = start < this.stringEnd ? this.bytes.indexOf(0, start) : -1;
    if (stop < 0 || stop >= this.stringEnd) throw bad("a name lies outside of the strings");
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, stop - start).toString("utf8");
  }

  #type(): BtfType {
    const name = this.#name();
    const info = this.#u32();
    const sizeOrType = this.#u32();
    const length = info & 0xffff;
    const flag = info >>> 31 === 1;
    const list = <T>(count: number, one: () => T): T[] => Array.from({ length: count }, one);
    const kind = (info >>> 24) & 0x1f;
    switch (kind) {
      case 1: {
        const encoding = (this.#u32() >>> 24) & 0xf;
        const char = (encoding & 2) !== 0 || name === "char";
        return { kind: "int", name, size: sizeOrType, signed: (encoding & 1) !== 0, char, bool: (encoding & 4) !== 0 };
      }
      case 2:
        return { kind: "ptr", name: "", type: sizeOrType };
      case 3: {
        const element = this.#u32();
        this.#u32();
        return { kind: "array", name: "", element, length: this.#u32() };
      }
      case 4:
      case 5: {
        const members = list(length, () => this.#member(flag));
        return { kind: kind === 4 ? "struct" : "union", name, size: sizeOrType, members };
      }
      case 6: {
        const values = list(length, () => {
          const valueName = this.#name();
          const value = this.#u32();
          return { name: valueName, value: flag ? value | 0 : value };
        });
        return { kind: "enum", name, size: sizeOrType, signed: flag, values };
      }
      case 7:
        return { kind: "fwd", name };
      case 8:
        return { kind: "typedef", name, type: sizeOrType };
      case 9:
        return { kind: "volatile", name, type: sizeOrType };
      case 10:
        return { kind: "const", name, type: sizeOrType };
      case 11:
        return { kind: "restrict", name, type: sizeOrType };
      case 12:
        return { kind: "func", name, type: sizeOrType };
      case 13:
        list(length * 2, () => this.#u32());
        return { kind: "func_proto", name: "", type: sizeOrType };
      case 14:
        return { kind: "var", name, type: sizeOrType, linkage: this.#u32() };
      case 15: {
        const variables = list(length, () => ({ type: this.#u32(), offset: this.#u32(), size: this.#u32() }));
        return { kind: "datasec", name, size: sizeOrType, variables };
      }
      case 16:
        return { kind: "float", name, size: sizeOrType };
      case 17:
        this.#u32();
        return { kind: "decl_tag", name, type: sizeOrType };
      case 18:
        return { kind: "type_tag", name, type: sizeOrType };
      case 19: {
        const values = list(length, () => {
          const valueName = this.#name();
          const low = BigInt(this.#u32());
          const value = low | (BigInt(this.#u32()) << 32n);
          return { name: valueName, value: flag ? BigInt.asIntN(64, value) : value };
        });
        return { kind: "enum", name, size: sizeOrType, signed: flag, values };
      }
      default:
        throw bad(`kind ${kind} is unknown`);
    }
  }

  #member(flag: boolean): BtfMember {
    const name = this.#name();
    const type = this.#u32();
    const offset = this.#u32();
    return flag
      ? { name, type, bitOffset: offset & 0xffffff, bitSize: offset >>> 24 }
      : { name, type, bitOffset: offset, bitSize: 0 };
  }
}
