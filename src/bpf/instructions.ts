// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressOf, errnoText, lazy } from "../linux/index.js";
import { libbpf } from "./libbpf.js";
import { BpfProgram } from "./program.js";

const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const BPF_F_XDP_HAS_FRAGS = 32;
/** struct bpf_prog_load_opts of libbpf 1.1. */
const OPTS_SIZE = 104;
const LOG_SIZE = 1 << 20;

const bpf_prog_load = lazy<
  (type: number, name: string, license: string, insns: Uint8Array, count: number, opts: Uint8Array) => number
>(libbpf, "int bpf_prog_load(int, const char *, const char *, const void *, size_t, const void *)");

export interface InstructionOptions {
  /** It takes frames in several buffers. */
  frags: boolean;
}

/**
 * Loads an XDP program of instructions (`struct bpf_insn`, 8 bytes each) that were made here. Throws XDPCTL_E_VERIFIER with
 * the log, XDPCTL_E_PERMISSION.
 */
export function loadInstructions(name: string, instructions: Uint8Array, options: InstructionOptions): BpfProgram {
  const attempt = (log: Buffer | undefined): number => {
    const opts = Buffer.alloc(OPTS_SIZE);
    opts.writeBigUInt64LE(BigInt(OPTS_SIZE), 0);
    opts.writeUInt32LE(BPF_XDP, 12);
    opts.writeUInt32LE(options.frags ? BPF_F_XDP_HAS_FRAGS : 0, 20);
    if (log !== undefined) {
      opts.writeUInt32LE(1, 88);
      opts.writeUInt32LE(log.length, 92);
      opts.writeBigUInt64LE(addressOf(log), 96);
    }
    const count = instructions.length / 8;
    return bpf_prog_load(BPF_PROG_TYPE_XDP, name, "Dual MIT/GPL", instructions, count, opts);
  };
  const fd = attempt(undefined);
  if (fd >= 0) return BpfProgram.fromFd(fd, { name, owned: true });
  const log = Buffer.alloc(LOG_SIZE);
  const again = attempt(log);
  if (again >= 0) return BpfProgram.fromFd(again, { name, owned: true });
  throw new XdpctlError("XDPCTL_E_VERIFIER", `the kernel refused the program ${name}: ${errnoText(-again)}`, {
    errno: -again,
    log: log.toString("utf8", 0, Math.max(0, log.indexOf(0))),
  });
}
