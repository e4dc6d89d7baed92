// SPDX-License-Identifier: MIT

/** A type of BTF, by kind (Documentation/bpf/btf.rst). Sizes and offsets are bytes unless they say bits. */
export type BtfType =
  | { kind: "void"; name: "" }
  | { kind: "int"; name: string; size: number; signed: boolean; char: boolean; bool: boolean }
  | { kind: "float"; name: string; size: number }
  | { kind: "ptr"; name: ""; type: number }
  | { kind: "array"; name: ""; element: number; length: number }
  | { kind: "struct" | "union"; name: string; size: number; members: BtfMember[] }
  | { kind: "enum"; name: string; size: number; signed: boolean; values: { name: string; value: number | bigint }[] }
  | {
      kind: "typedef" | "const" | "volatile" | "restrict" | "type_tag" | "func" | "decl_tag";
      name: string;
      type: number;
    }
  | { kind: "fwd"; name: string }
  | { kind: "func_proto"; name: ""; type: number }
  | { kind: "var"; name: string; type: number; linkage: number }
  | { kind: "datasec"; name: string; size: number; variables: { type: number; offset: number; size: number }[] };

export interface BtfMember {
  name: string;
  type: number;
  bitOffset: number;
  /** 0 for a member that is no bit field. */
  bitSize: number;
}
