// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressOf, koffi, type Pointer, Library } from "../linux/index.js";

/** The library of tcpdump's filter language. */
const libpcap = new Library("libpcap.so.0.8", "libpcap0.8");

const DLT_EN10MB = 1;
const SNAPLEN = 262_144;
const ERROR_SIZE = 256;
const NETMASK_UNKNOWN = 0xffff_ffff;
/** struct bpf_insn. */
const INSTRUCTION = 8;

const func = (prototype: string): ((...args: unknown[]) => unknown) => {
  try {
    return libpcap.func(prototype);
  } catch (cause) {
    if (!XdpctlError.is(cause, "XDPCTL_E_LIBRARY")) throw cause;
    throw new XdpctlError("XDPCTL_E_LIBRARY", "filters need libpcap.so.0.8, which can't be loaded", {
      remedy: "install the Debian package libpcap0.8",
      cause,
    });
  }
};

/** Classic BPF instructions, as SO_ATTACH_FILTER takes them. */
export type Filter = Uint8Array;

/**
 * Compiles a filter in tcpdump's language (pcap-filter(7)) by libpcap.
 *
 * With `device`, an interface of the calling thread's network namespace, it is made for packets as the kernel has them at
 * that interface, where VLAN tags stand beside the packet; without, for frames as they are on the wire.
 * Errors: XDPCTL_E_USAGE with libpcap's own words, XDPCTL_E_LIBRARY without libpcap.
 */
export function compileFilter(text: string, device?: string): Filter {
  const handle = device === undefined ? openDead() : openLive(device);
  // struct bpf_program: the number of instructions, and where they are.
  const program = new BigUint64Array(2);
  try {
    const compile = func("int pcap_compile(void *, void *, const char *, int, uint32_t)");
    if ((compile(handle, program, text, 1, NETMASK_UNKNOWN) as number) !== 0) {
      const reason = func("const char *pcap_geterr(void *)")(handle) as string;
      throw new XdpctlError("XDPCTL_E_USAGE", `the filter ${JSON.stringify(text)} is wrong: ${reason}`, {
        remedy: "filters are written as for tcpdump: `icmp and host 192.168.6.1`; see pcap-filter(7)",
      });
    }
    const length = Number((program[0] ?? 0n) & 0xffff_ffffn) * INSTRUCTION;
    const view = koffi().view(program[1] as Pointer, length);
    return Uint8Array.from(new Uint8Array(view));
  } finally {
    if (program[1] !== 0n) func("void pcap_freecode(void *)")(program);
    func("void pcap_close(void *)")(handle);
  }
}

function openDead(): unknown {
  return func("void *pcap_open_dead(int, int)")(DLT_EN10MB, SNAPLEN);
}

/** Only an open capture lets libpcap know that the kernel takes VLAN tags out of packets. */
function openLive(device: string): unknown {
  const error = Buffer.alloc(ERROR_SIZE);
  const handle = func("void *pcap_create(const char *, void *)")(device, error);
  if (handle === null) throw refused(device, error.toString("latin1", 0, error.indexOf(0)));
  const status = func("int pcap_activate(void *)")(handle) as number;
  if (status < 0) {
    const reason = func("const char *pcap_geterr(void *)")(handle) as string;
    func("void pcap_close(void *)")(handle);
    throw refused(device, reason);
  }
  return handle;
}

function refused(device: string, reason: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_SYSCALL", `libpcap can't look at ${device}: ${reason}`);
}

/** struct sock_fprog for SO_ATTACH_FILTER; `filter` must live as long as it is used. */
export function socketProgram(filter: Filter): BigUint64Array {
  return new BigUint64Array([BigInt(filter.length / INSTRUCTION), addressOf(filter)]);
}
