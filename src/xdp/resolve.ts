// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { BUILTIN_PROGRAMS, builtinPath, isBuiltin, type ObjectSpec, readObjectSpec } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";

export interface ResolvedProgram {
  spec: ObjectSpec;
  /** The function that is loaded. */
  entry: string;
  /** What status shows: the built-in's name, or the function's. */
  name: string;
  trusted: boolean;
}

/**
 * Finds the object behind `pass`, `drop`, `guard`, or a path, and the one XDP program in it. Throws XDPCTL_E_NO_OBJECT,
 * XDPCTL_E_BAD_OBJECT, XDPCTL_E_NO_PROGRAM.
 */
export function resolveProgram(program: string, section?: string): ResolvedProgram {
  const builtin = isBuiltin(program);
  if (!builtin && !program.includes("/") && !program.endsWith(".o")) {
    const hint = didYouMean(program, BUILTIN_PROGRAMS);
    throw new XdpctlError("XDPCTL_E_NO_OBJECT", `there is no program ${program === "" ? '""' : program}${hint}`);
  }
  const spec = readObjectSpec(
    builtin ? builtinPath(program) : program,
    builtin ? `${program}.bpf.o` : basename(program),
  );
  const xdp = spec.programs.filter(
    (p) => p.section === "xdp" || p.section.startsWith("xdp.") || p.section.startsWith("xdp/"),
  );
  const all = spec.programs.map((p) => p.name).join(", ");
  let entry: { name: string } | undefined;
  if (section !== undefined) {
    entry = spec.programs.find((p) => p.name === section) ?? spec.programs.find((p) => p.section === section);
    if (entry === undefined) {
      const hint = didYouMean(
        section,
        spec.programs.map((p) => p.name),
      );
      throw new XdpctlError(
        "XDPCTL_E_NO_PROGRAM",
        `${spec.name} has no program ${section}${hint}; it has ${all || "none"}`,
      );
    }
  } else if (xdp.length > 1) {
    throw new XdpctlError(
      "XDPCTL_E_NO_PROGRAM",
      `${spec.name} has ${xdp.length} XDP programs: ${xdp.map((p) => p.name).join(", ")}`,
    );
  } else {
    // A single program in an unknown section is still given to libbpf, whose reason is then the kernel's.
    entry = xdp[0] ?? (spec.programs.length === 1 ? spec.programs[0] : undefined);
    if (entry === undefined) {
      const has = all === "" ? "no program at all" : `no XDP program (section "xdp"), only ${all}`;
      throw new XdpctlError("XDPCTL_E_NO_PROGRAM", `${spec.name} has ${has}`);
    }
  }
  return { spec, entry: entry.name, name: builtin ? program : entry.name, trusted: builtin };
}
