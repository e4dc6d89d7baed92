// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { NETLINK_GENERIC } from "./constants.js";
import { attributes, eachAttribute, nested, type Part, type Request, readText, text, u32 } from "./message.js";
import { NetlinkSocket } from "./socket.js";

const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const FEATURES_GET = 11;
const FEATURES_SET = 12;
const HEADER = 1;
const WANTED = 3;
const ACTIVE = 4;
const FLAG_OMIT_REPLY = 2;

/** struct genlmsghdr */
const command = (number: number): Uint8Array => Uint8Array.of(number, 1, 0, 0);

/**
 * What a veth needs so that XDP sees frames as they would be on a wire: GRO on, which runs NAPI at that end (without it
 * frames that the peer sends by XDP_TX or XDP_REDIRECT are dropped), and no checksum, segmentation or VLAN offload, which
 * would leave frames unfinished, larger than the MTU, or without their tag.
 */
export const XDP_FEATURES: Readonly<Record<string, boolean>> = {
  "rx-gro": true,
  "rx-checksum": false,
  "tx-checksum-ip-generic": false,
  "tx-checksum-sctp": false,
  "tx-tcp-segmentation": false,
  "tx-tcp6-segmentation": false,
  "tx-tcp-ecn-segmentation": false,
  "tx-tcp-mangleid-segmentation": false,
  "tx-udp-segmentation": false,
  "tx-sctp-segmentation": false,
  "rx-vlan-hw-parse": false,
  "tx-vlan-hw-insert": false,
  "rx-vlan-stag-hw-parse": false,
  "tx-vlan-stag-hw-insert": false,
};

// A family's number is the same in all namespaces while the kernel runs.
let familyId: number | undefined;

/** ethtool's netlink interface in the calling thread's network namespace. Linux 5.7. */
export class EthtoolSocket implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_GENERIC);

  #family(): number {
    if (familyId !== undefined) return familyId;
    const what = "finding the ethtool family of generic netlink";
    const body = [command(CTRL_CMD_GETFAMILY), text(CTRL_ATTR_FAMILY_NAME, "ethtool")];
    const [answer] = this.#socket.request({ type: GENL_ID_CTRL, flags: 0, body, what });
    const id = answer === undefined ? undefined : attributes(answer.data.subarray(4)).get(CTRL_ATTR_FAMILY_ID);
    if (id === undefined) throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `${what}: there is none`);
    familyId = id.readUInt16LE(0);
    return familyId;
  }

  /** The request that sets features of one interface; features that the device lacks are an error of the kernel. */
  #set(index: number, features: Part): Request {
    return {
      type: this.#family(),
      flags: 0,
      body: [command(FEATURES_SET), nested(HEADER, u32(1, index), u32(3, FLAG_OMIT_REPLY)), nested(WANTED, features)],
      what: `setting the offloads of link ${index}`,
    };
  }

  /** Sets features by ethtool's names, the same on several interfaces at once. */
  setFeatures(indices: readonly number[], features: Readonly<Record<string, boolean>>): void {
    const bits = Object.entries(features).map(([name, on]) =>
      nested(1, text(2, name), on ? [Buffer.of(4, 0, 3, 0)] : []),
    );
    const bitset = nested(3, ...bits);
    if (indices.length > 0) this.#socket.execute(indices.map((index) => this.#set(index, bitset)));
  }

  /** The names of the features that are on. */
  features(index: number): Set<string> {
    const body = [command(FEATURES_GET), nested(HEADER, u32(1, index))];
    const what = `reading the offloads of link ${index}`;
    const on = new Set<string>();
    for (const answer of this.#socket.request({ type: this.#family(), flags: 0, body, what })) {
      const active = attributes(answer.data.subarray(4)).get(ACTIVE);
      if (active === undefined) continue;
      const bits = attributes(active).get(3);
      if (bits === undefined) continue;
      eachAttribute(bits, (bit) => {
        const found = attributes(bit.data);
        // In a list without a mask (ETHTOOL_A_BITSET_NOMASK) each bit that is named is on.
        const masked = !attributes(active).has(1);
        if (!masked || found.has(3)) on.add(readText(found.get(2)));
      });
    }
    return on;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
