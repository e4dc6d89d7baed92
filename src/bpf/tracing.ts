// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno, errnoText, lazy, OwnedFd } from "../linux/index.js";
import { libbpf } from "./libbpf.js";
import type { BpfProgram } from "./program.js";

const bpf_raw_tracepoint_open = lazy<(name: null, program: number) => number>(
  libbpf,
  "int bpf_raw_tracepoint_open(const char *, int)",
);

/**
 * Attaches an fentry or fexit program to what it was loaded for; closing the descriptor detaches it. Throws
 * XDPCTL_E_PERMISSION on kernels that do not allow it, XDPCTL_E_ATTACH.
 */
export function attachTracing(program: BpfProgram): OwnedFd {
  const result = bpf_raw_tracepoint_open(null, program.fd);
  if (result >= 0) return new OwnedFd(result);
  const code = -result === errno.EPERM ? "XDPCTL_E_PERMISSION" : "XDPCTL_E_ATTACH";
  throw new XdpctlError(code, `attaching ${program.name}: ${errnoText(-result)}`, { errno: -result });
}
