// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errnoText, type Pointer } from "../linux/index.js";
import { Codecs, Misfit, type Value } from "./btf/index.js";
import { libbpf } from "./libbpf.js";
import type { ObjectSpec } from "./object.js";

function setInitial(m: Pointer, b: Uint8Array, n: number): number {
  return libbpf.func("int bpf_map__set_initial_value(void *, const void *, size_t)")(m, b, n) as number;
}

/** Gives global variables their values, by name, before the object is loaded. Throws XDPCTL_E_NO_BTF, XDPCTL_E_BAD_VALUE. */
export function setVariables(maps: Map<string, Pointer>, spec: ObjectSpec, variables: Record<string, Value>): void {
  const { btf } = spec;
  if (btf === undefined)
    throw new XdpctlError("XDPCTL_E_NO_BTF", `${spec.name} has no BTF, so its variables have no names`);
  const codecs = new Codecs(btf);
  const left = new Map(Object.entries(variables));
  for (const section of spec.sections) {
    const type = btf.find("datasec", section.name);
    const map = maps.get(section.name);
    if (type?.kind !== "datasec" || map === undefined) continue;
    const bytes = Buffer.from(section.data);
    let touched = false;
    for (const variable of type.variables) {
      const { name } = btf.get(variable.type);
      const value = left.get(name);
      const symbol = spec.symbols.find((one) => one.name === name && one.section === section.name);
      if (value === undefined || symbol === undefined) continue;
      left.delete(name);
      touched = true;
      try {
        codecs
          .of(variable.type)
          .encode(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), symbol.value, value);
      } catch (cause) {
        if (!(cause instanceof Misfit)) throw cause;
        throw new XdpctlError("XDPCTL_E_BAD_VALUE", `variable ${name} of ${spec.name}: ${cause.message}`);
      }
    }
    if (!touched) continue;
    const result = setInitial(map, bytes, bytes.length);
    if (result < 0) throw new XdpctlError("XDPCTL_E_LOAD", `variables of ${spec.name}: ${errnoText(-result)}`);
  }
  for (const name of left.keys()) {
    throw new XdpctlError("XDPCTL_E_BAD_VALUE", `${spec.name} has no variable ${name}`);
  }
}
