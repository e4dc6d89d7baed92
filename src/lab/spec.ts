// SPDX-License-Identifier: MIT
import type { MptcpFlag } from "../netlink/index.js";
import type { Impairment } from "./impairment.js";
import type { CheckSpec } from "./checks/spec.js";

/** One interface of a machine, as it shall be. */
export interface InterfaceSpec {
  readonly name: string;
  /** With prefix lengths: `192.168.5.100/24`. */
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly mac?: string;
  /** Its IPv4 address comes by DHCP, and is the one that is reserved for it. */
  readonly dhcp?: true;
}

/** DHCP for one of a machine's networks. */
export interface DhcpServerSpec {
  readonly interface: string;
  /** What others than the lab's own machines get. */
  readonly first: string;
  readonly last: string;
  readonly netmask: string;
  /** The addresses of the lab's machines, by the names with which they ask. */
  readonly reserved: readonly { readonly host: string; readonly address: string }[];
}

export interface RouteSpec {
  /** `10.0.0.0/8`, or `default`. */
  readonly to: string;
  readonly via?: string;
  readonly dev?: string;
  readonly metric?: number;
}

/** Multipath TCP of a machine: limits, and the addresses that its connections may use. */
export interface MptcpSpec {
  readonly subflows: number;
  readonly accepted: number;
  readonly endpoints: readonly {
    readonly interface: string;
    readonly address: string;
    readonly flags: readonly MptcpFlag[];
  }[];
}

/** A file or directory of the host in a container. */
export interface MountSpec {
  /** Relative to the lab file's directory, unless absolute. */
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
}

export interface ContainerSpec {
  readonly image: string;
  /** Null keeps the container running without doing anything; an empty list is the image's own command. */
  readonly command: readonly string[] | null;
  readonly mounts: readonly MountSpec[];
  /** As Linux names them: `CAP_NET_ADMIN`, or `ALL`. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  /** Run in the container until it succeeds: then the machine is ready. */
  readonly ready: { readonly command: readonly string[]; readonly withinMs: number } | null;
  /** Whether an image that is not here may be fetched. */
  readonly pull: boolean;
}

/** What a machine of the kind `vm` has beside. */
export interface VmSpec {
  /** As `xdpctl vm run --kernel` takes it; a path is relative to the lab file's directory. */
  readonly kernel: string;
  /** A folder with a root of its own, relative to the lab file's directory; this machine's files by default. */
  readonly root?: string;
  /** MiB */
  readonly memory: number;
  readonly cpus: number;
  /** Whether AF_XDP sockets get its NICs' frames without a copy; no by default. */
  readonly zerocopy?: boolean;
  /** Whether its root may run `lab` commands on the host. */
  readonly lab: boolean;
  /**
   * Modules that are loaded before anything else: names, files (`./echo.ko`) relative to the lab file's directory, and
   * `kmod:NAME`, which is left out where scripts/build-kmod has not built it for the guest's kernel.
   */
  readonly modules: readonly string[];
}

export interface NodeSpec {
  readonly name: string;
  readonly kind: "netns" | "container" | "vm";
  readonly forward: boolean;
  readonly masquerade: readonly string[];
  readonly interfaces: readonly InterfaceSpec[];
  readonly routes: readonly RouteSpec[];
  readonly dhcpServers?: readonly DhcpServerSpec[];
  readonly mptcp?: MptcpSpec;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** What a machine of the kind `container` has beside. */
  readonly container?: ContainerSpec;
  readonly vm?: VmSpec;
}

export interface BridgeSpec {
  readonly name: string;
  readonly mtu: number;
}

/** An end of a link: a machine's interface, or a port of a bridge. */
export type EndSpec =
  | { readonly node: string; readonly interface: string }
  | { readonly bridge: string; readonly port: string };

export interface LinkSpec {
  readonly ends: readonly [EndSpec, EndSpec];
  readonly mtu: number;
  /** What each end sends suffers this, in the order of `ends`. */
  readonly impair?: readonly [Impairment, Impairment];
}

/** A lab as its file says, with every address chosen: the same file gives the same spec on any machine. */
export interface LabSpec {
  readonly name: string;
  /** The file it came from, for messages. */
  readonly file: string;
  readonly nodes: readonly NodeSpec[];
  readonly bridges: readonly BridgeSpec[];
  readonly links: readonly LinkSpec[];
  /** In the order of the file. */
  readonly checks: readonly CheckSpec[];
}
