// SPDX-License-Identifier: MIT
export { Codecs } from "./codec.js";
export { Btf } from "./parse.js";
export { type Codec, Misfit, type Value } from "./scalars.js";
export type { BtfMember, BtfType } from "./types.js";
