// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hasTool, isRoot, needs } from "../fixtures/needs.js";

const SCRIPTS = fileURLToPath(new URL("../../scripts/", import.meta.url));

/** Runs lines in a network of their own, where no namespace has a name yet. */
function alone(lines: string): string[] {
  const script = `mkdir -p /run/netns; mount -t tmpfs none /run/netns; cd ${SCRIPTS}; exec 2>&1; ${lines}`;
  const { stdout, stderr, status } = spawnSync("unshare", ["-m", "-n", "bash", "-c", script], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.trim().split("\n");
}

describe.skipIf(!isRoot)("set_veth and unset_veth", () => {
  test("make Packetvisor's network, twice, and take it away, twice", (context) => {
    needs(context, hasTool("ethtool"), "ethtool");
    const addresses = "ip -br address show scope global | awk '/veth/ { print $1, $3, $4 }'";
    const offload = "ethtool -k veth1 | grep -c -E '^(rx|tx)-checksumming: off'";
    const told = alone(`
      ./set_veth && ./set_veth && ${addresses}; ip netns exec test1 ${offload}
      ping -q -c 1 -W 1 10.0.0.5 >/dev/null && echo reached
      ./unset_veth && ./unset_veth && ip -o link | wc -l; ip netns | wc -l`);
    expect(told).toEqual([
      expect.stringMatching(/^veth0@\S+ 10.0.0.4\/24 2001:db8::1\/64$/),
      expect.stringMatching(/^veth2@\S+ 10.0.0.6\/24 ?$/),
      "2",
      "reached",
      "1",
      "0",
    ]);
  });

  test("leave an interface of somebody else alone", () => {
    const told = alone(
      "ip link add veth0 type veth peer name other; ./set_veth; ./unset_veth; ip -o link | wc -l; ip netns | wc -l",
    );
    expect(told).toEqual([
      expect.stringMatching(/veth0 that is not ours/),
      "unset_veth: veth0 is not ours, and stays",
      "3",
      "0",
    ]);
  });
});
