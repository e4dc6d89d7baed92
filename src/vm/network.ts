// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { inNamespaces, needCapabilities, openTap, type Tap } from "../linux/index.js";
import { openRoute } from "../netlink/index.js";
import type { Device } from "./qemu.js";

export interface NicOptions {
  /**
   * The guest's driver may give AF_XDP sockets its frames without a copy: virtio-net does so since Linux 6.11, for a device that
   * takes the addresses of the DMA API (VIRTIO_F_ACCESS_PLATFORM).
   */
  readonly zerocopy?: boolean;
}

/** A NIC of a guest: QEMU's own network, or a port of a bridge. */
export type GuestNetwork = NicOptions &
  (
    | { readonly kind: "user" }
    | {
        readonly kind: "bridge";
        readonly bridge: string;
        /** Path of the network namespace that has the bridge; this one by default. */
        readonly namespace?: string;
        /** A new one by default. */
        readonly mac?: string;
        /** Whether a lease is asked for: yes by default. */
        readonly dhcp?: boolean;
        /** Without receive offloads its packets are never larger than those on the wire. */
        readonly offloads?: boolean;
      }
  );

/** A MAC address of our own: locally administered, and not that of another guest on the same bridge. */
function freshMac(): string {
  return ["02", "78", ...[...randomBytes(4)].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** QEMU's name of a guest's network. */
export const networkId = (i: number): string => `net${i}`;

/** A port of a bridge, made for one guest; gone when the guest and this are. */
class BridgePort {
  readonly tap: Tap;

  /** Errors: XDPCTL_E_NO_INTERFACE, XDPCTL_E_PERMISSION, XDPCTL_E_NETLINK. */
  constructor(bridge: string, namespace: string | undefined, queues: number) {
    const make = (): Tap => {
      const route = openRoute();
      try {
        const master = route.link(bridge);
        if (master === undefined) {
          throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no bridge ${bridge}`, {
            remedy: "`ip link show type bridge` lists those of this namespace",
          });
        }
        needCapabilities(`a NIC on the bridge ${bridge}`, "CAP_NET_ADMIN");
        const tap = openTap("xdpctl%d", queues);
        try {
          const made = route.link(tap.name);
          if (made !== undefined) route.setLink(made.index, { master: master.index, up: true, mtu: master.mtu });
          return tap;
        } catch (error) {
          for (const fd of tap.fds) closeSync(fd);
          throw error;
        }
      } finally {
        route.close();
      }
    };
    this.tap = namespace === undefined ? make() : inNamespaces({ net: namespace }, make);
  }

  close(): void {
    for (const fd of this.tap.fds) closeSync(fd);
  }
}

/** The NICs of a guest: eth0, eth1 … in the order given. */
export class Networks {
  readonly #ports: BridgePort[] = [];
  readonly devices: Device[] = [];
  /** Descriptors that QEMU inherits, from `firstFd` on. */
  readonly fds: number[] = [];

  /** With `dry`, nothing is made: for a command line that is only shown. */
  constructor(networks: readonly GuestNetwork[], cpus: number, firstFd: number, dry = false) {
    // XDP in the guest wants a queue for each CPU to receive, and one to send.
    const queues = 2 * cpus;
    try {
      for (const [i, network] of networks.entries()) {
        const id = networkId(i);
        const { zerocopy = false } = network;
        if (network.kind === "user") {
          this.devices.push(
            nic({ id, backend: `user,id=${id}`, queues: 1, mac: freshMac(), offloads: true, zerocopy }),
          );
          continue;
        }
        const { mac = freshMac(), offloads = true } = network;
        const first = firstFd + this.fds.length;
        const fds = Array.from({ length: queues }, (_, queue) => first + queue);
        if (dry) this.fds.push(...fds);
        else {
          const port = new BridgePort(network.bridge, network.namespace, queues);
          this.#ports.push(port);
          this.fds.push(...port.tap.fds);
        }
        this.devices.push(nic({ id, backend: `tap,id=${id},fds=${fds.join(":")}`, queues, mac, offloads, zerocopy }));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Our copies of the descriptors: QEMU has its own once it runs. */
  close(): void {
    for (const port of this.#ports.splice(0)) port.close();
  }
}

const OFFLOADS = ["guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo"];

interface Nic {
  readonly id: string;
  /** The value of -netdev. */
  readonly backend: string;
  readonly queues: number;
  readonly mac: string;
  readonly offloads: boolean;
  readonly zerocopy: boolean;
}

function nic({ id, backend, queues, mac, offloads, zerocopy }: Nic): Device {
  const words = ["virtio-net-pci", `netdev=${id}`, `mac=${mac}`, "romfile="];
  if (queues > 1) words.push("mq=on", `vectors=${2 * queues + 2}`);
  if (!offloads) words.push(...OFFLOADS.map((name) => `${name}=off`));
  if (zerocopy) words.push("iommu_platform=on", "disable-legacy=on");
  return { qemu: ["-netdev", backend, "-device", words.join(",")] };
}
