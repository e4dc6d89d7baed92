// SPDX-License-Identifier: MIT
import { afterEach, beforeEach, expect, it } from "vitest";
import { EthtoolSocket, type GenericFamily, GenericSocket, openRoute } from "../../src/netlink/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

let pair: TestPair;
beforeEach(() => {
  pair = new TestPair();
});
afterEach(() => pair.close());

const genl = (...args: string[]) => xdpctl(pair.left, ["genl", ...args]);

it("lists the families, and describes one with the types that its commands take", () => {
  const { families } = xdpctlJson<{ families: GenericFamily[] }>(pair.left, ["genl", "ls"]);
  const control = families.find((family) => family.name === "nlctrl");
  expect(control).toMatchObject({ id: 16, version: 2, groups: [{ name: "notify" }] });
  expect(genl("ls").stdout).toMatch(/^nlctrl +16 +2 +\d+ +notify$/m);
  expect(genl("info", "nlctrl").stdout).toMatch(/^ +3 +do,dump +1:u16 2:nul-string$/m);
  expect(genl("info", "ethtool").stdout).toMatch(/^monitor +\d+$/m);
});

it("calls a command: attributes by the kernel's policy or by a given type, one object or all", () => {
  for (const attribute of ["2=ethtool", "2:nul-string=ethtool"]) {
    const { answers } = xdpctlJson<{ answers: { attributes: { type: number; text: string | null }[] }[] }>(pair.left, [
      ...["genl", "call", "nlctrl", "3", attribute],
    ]);
    expect(answers).toHaveLength(1);
    expect(answers[0]?.attributes).toContainEqual(expect.objectContaining({ type: 2, text: "ethtool" }));
  }
  expect(genl("call", "nlctrl", "3", "--dump").stdout).toMatch(/^ {2}2 +"nlctrl" +7 bytes$/m);
});

it("says what is wrong: family, command, attribute, value, right", () => {
  expect(genl("info", "ethtol")).toMatchObject({ status: 5, stderr: expect.stringContaining("did you mean ethtool?") });
  expect(genl("call", "nlctrl", "3", "2=nope").stderr).toMatch(/ENOENT.*XDPCTL_E_NETLINK/);
  expect(genl("call", "nlctrl", "x")).toMatchObject({ status: 2 });
  expect(genl("call", "nlctrl", "3", "9=1").stderr).toContain("attribute 9 needs a type");
  expect(genl("call", "nlctrl", "99", "1=x").stderr).toContain("attribute 1 needs a type");
  expect(genl("call", "nlctrl", "3", "1=70000").stderr).toContain('"70000" is no u16');
  expect(genl("call", "nlctrl", "3", "1:u99=1").stderr).toContain('"u99" is no type');
  expect(genl("monitor", "ethtool", "nope").stderr).toContain("its groups: monitor");
});

it("hears what a family multicasts", async () => {
  const monitor = Running.xdpctl(pair.left, "genl", "monitor", "ethtool", "--json", "--count", "1");
  const change = (on: boolean): void =>
    pair.left.run(() => {
      const route = openRoute();
      const ethtool = new EthtoolSocket();
      ethtool.setFeatures([route.link("eth0")?.index ?? 0], { "rx-gro": on });
      ethtool.close();
      route.close();
    });
  let on = false;
  const again = setInterval(() => {
    on = !on;
    change(on);
  }, 50);
  try {
    const { stdout, status } = await monitor.ended();
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: "genl", family: "ethtool", command: expect.any(Number) });
  } finally {
    clearInterval(again);
    await monitor.close();
  }
});

it("is a part of the library, and survives families that come while it reads", () => {
  const socket = new GenericSocket();
  const family = socket.family("nlctrl");
  for (let i = 0; i < 200; i++) expect(socket.families().some((one) => one.id === family.id)).toBe(true);
  expect(() => socket.request(family, 99, [])).toThrow(/not supported/);
  socket.close();
});
