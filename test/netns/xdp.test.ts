// SPDX-License-Identifier: MIT
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BpfMap, BpfObject, type BpfProgram, builtinPath, findBpffs } from "../../src/bpf/index.js";
import { XdpctlError } from "../../src/errors/index.js";
import { openRoute, XDP_FLAGS } from "../../src/netlink/index.js";
import { attach, Attachments, type LoadRequest } from "../../src/xdp/index.js";
import { connect, TestPair } from "../fixtures/netns.js";
import { compileBpf } from "../fixtures/compile.js";

let pair: TestPair;
let leave: () => void;
const opened: Attachments[] = [];

/** The namespace of this thread is the test's: what loads asynchronously stays in it. */
beforeEach(() => {
  pair = new TestPair();
  leave = pair.left.enter();
});

afterEach(() => {
  for (const one of opened.splice(0)) {
    for (const held of one.all) one.detach(held);
    one.close();
  }
  leave();
  pair.close();
});

function open(): Attachments {
  const made = Attachments.open();
  opened.push(made);
  return made;
}

function request(program: string, ...interfaces: string[]): LoadRequest {
  return { program, interfaces, mode: "auto", force: false, keep: false };
}

async function failure(promise: Promise<unknown>): Promise<XdpctlError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (XdpctlError.is(error)) return error;
  throw error ?? new Error("it did not fail");
}

function progOf(attachments: Attachments, name: string): { mode: string; progId: number } {
  return attachments.link(name).xdp;
}

test("drop stops ping, pass lets it through again, and closing takes it off", async () => {
  const attachments = open();
  expect(pair.right.ping(pair.leftAddress)).toBe(1);
  const first = await attachments.load(request("drop", "eth0"));
  expect(first.loaded[0]?.attachment).toMatchObject({ interface: "eth0", mode: "native", pinned: false });
  expect(pair.right.ping(pair.leftAddress)).toBe(0);
  const second = await attachments.load(request("pass", "eth0"));
  expect(second.loaded[0]?.replaced).toMatchObject({ program: "drop", ours: true });
  expect(pair.right.ping(pair.leftAddress)).toBe(1);
  attachments.close();
  opened.length = 0;
  expect(progOf(open(), "eth0").mode).toBe("none");
});

test("a replacement loses no packet", async () => {
  const attachments = open();
  await attachments.load(request("pass", "eth0"));
  const ping = pair.right.spawn(["ping", "-q", "-c", "400", "-i", "0.002", "-W", "1", pair.leftAddress], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  ping.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise((resolve) => ping.once("close", resolve));
  for (let i = 0; i < 40; i++) await attachments.load(request(i % 2 === 0 ? "guard" : "pass", "eth0"));
  await ended;
  expect(text).toMatch(/400 packets transmitted, 400 received/);
});

test("several interfaces share one object; one that fails takes the others back", async () => {
  connect(pair.left, pair.right, { left: "eth5", right: "eth5", net: 5 });
  const attachments = open();
  const { loaded } = await attachments.load(request("guard", "eth0", "eth5"));
  expect(new Set(loaded.map((l) => l.attachment.instance)).size).toBe(1);
  for (const held of attachments.all) attachments.detach(held);
  const foreign = await BpfObject.load(builtinPath("pass"), { trusted: true });
  const other = attach(foreign.programs.pass as BpfProgram, "eth5");
  const error = await failure(attachments.load(request("drop", "eth0", "eth5")));
  expect(error.code).toBe("XDPCTL_E_OCCUPIED");
  expect(progOf(attachments, "eth0").mode).toBe("none");
  expect(attachments.all).toHaveLength(0);
  const missing = await failure(attachments.load(request("drop", "eth0", "eth6")));
  expect(missing.message).toMatch(/no interface eth6 in this namespace \(did you mean eth[05]\?\)/);
  expect(progOf(attachments, "eth0").mode).toBe("none");
  other.close();
  foreign.close();
});

test("someone else's program stays until --force, by link and by netlink", async () => {
  const attachments = open();
  const foreign = await BpfObject.load(builtinPath("pass"), { trusted: true });
  const other = attach(foreign.programs.pass as BpfProgram, "eth0");
  expect((await failure(attachments.load(request("drop", "eth0")))).code).toBe("XDPCTL_E_OCCUPIED");
  expect(() => attachments.unload("eth0", false)).toThrow(expect.objectContaining({ code: "XDPCTL_E_OCCUPIED" }));
  await attachments.load({ ...request("drop", "eth0"), force: true });
  expect(progOf(attachments, "eth0").progId).toBe(attachments.all[0]?.instance.id);
  other.link.close();
  expect(progOf(attachments, "eth0").mode).toBe("native");
  attachments.unload("eth0", false);
  const route = openRoute();
  route.setXdp(route.link("eth0")?.index ?? 0, (foreign.programs.pass as BpfProgram).fd, XDP_FLAGS.SKB_MODE);
  route.close();
  expect(progOf(attachments, "eth0").mode).toBe("generic");
  expect((await failure(attachments.load(request("pass", "eth0")))).code).toBe("XDPCTL_E_OCCUPIED");
  const { loaded } = await attachments.load({ ...request("pass", "eth0"), force: true });
  expect(loaded[0]?.replaced).toEqual({ program: "pass", id: foreign.programs.pass?.id, ours: false });
  expect(progOf(attachments, "eth0").mode).toBe("native");
  foreign.close();
});

test("auto falls back to generic and says why; native on a bridge is refused", async () => {
  pair.left.must("ip", "link", "add", "br9", "up", "type", "bridge");
  const attachments = open();
  const { loaded } = await attachments.load(request("drop", "br9"));
  expect(loaded[0]).toMatchObject({
    attachment: { mode: "generic" },
    fallback: "a bridge device of br9 has no native XDP",
  });
  attachments.unload("br9", false);
  const error = await failure(attachments.load({ ...request("drop", "br9"), mode: "native" }));
  expect(error).toMatchObject({ code: "XDPCTL_E_MODE", exitCode: 4 });
  await attachments.load({ ...request("drop", "eth0"), mode: "generic" });
  const change = await failure(attachments.load({ ...request("pass", "eth0"), mode: "native" }));
  expect(change.code).toBe("XDPCTL_E_MODE");
  await attachments.load({ ...request("pass", "eth0"), mode: "native", force: true });
  expect(progOf(attachments, "eth0").mode).toBe("native");
});

test("what is kept is one directory in bpffs, and is rebuilt from it", async () => {
  const first = open();
  await first.load({ ...request("guard", "eth0"), keep: true });
  const rules = first.all[0]?.instance.maps.deny_v4 as BpfMap;
  rules.set({ addr: "192.0.2.0", prefixLen: 24 }, { prefixLen: 24, owner: "me" });
  const directory = join(findBpffs() ?? "", "xdpctl", String(pair.left.inode));
  const { ifindex } = first.all[0] ?? { ifindex: 0 };
  expect(readdirSync(join(directory, String(ifindex))).sort()).toEqual(["link", "maps", "prog"]);
  first.close();
  opened.length = 0;
  const again = open();
  expect(again.all[0]).toMatchObject({ interface: "eth0", pinned: true, mode: "native" });
  expect(again.all[0]?.instance.name).toBe("guard");
  expect([...(again.all[0]?.instance.maps.deny_v4?.keys() ?? [])]).toEqual([{ addr: "192.0.2.0", prefixLen: 24 }]);
  // Loading the same program again keeps its maps.
  await again.load({ ...request("guard", "eth0"), keep: true });
  expect(again.all[0]?.instance.maps.deny_v4?.count()).toBe(1);
  again.unload("eth0", false);
  expect(existsSync(directory)).toBe(false);
});

test("pins of an interface that is gone are removed by whoever comes next", async () => {
  const first = open();
  await first.load({ ...request("drop", "eth0"), keep: true });
  const directory = join(findBpffs() ?? "", "xdpctl", String(pair.left.inode));
  first.close();
  opened.length = 0;
  pair.left.must("ip", "link", "del", "eth0");
  expect(existsSync(directory)).toBe(true);
  expect(open().all).toHaveLength(0);
  expect(existsSync(directory)).toBe(false);
});

test("maps of another version are refused", async () => {
  const old = compileBpf(`
struct k { __u32 a; }; struct v { __u64 b; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, struct k); __type(value, struct v); } stats SEC(".maps");
SEC("xdp") int guard(struct xdp_md *ctx) { struct k k = {}; return bpf_map_lookup_elem(&stats, &k) ? 1 : 2; }`);
  const first = open();
  const object = await BpfObject.load(old);
  const program = object.programs.guard as BpfProgram;
  const link = attach(program, "eth0");
  const { Pins } = await import("../../src/xdp/pins.js");
  new Pins().write(link.ifindex, link.link, program, object.maps);
  expect(() => Attachments.open()).toThrow(expect.objectContaining({ code: "XDPCTL_E_LAYOUT" }));
  new Pins().remove(link.ifindex);
  link.close();
  object.close();
  first.close();
  opened.length = 0;
});

test.each([
  ["drp", "XDPCTL_E_NO_OBJECT", /no program drp \(did you mean drop\?\)/],
  ["./missing.bpf.o", "XDPCTL_E_NO_OBJECT", /no file/],
  ["/bin/true", "XDPCTL_E_BAD_OBJECT", /not for BPF/],
  ["/etc/hosts", "XDPCTL_E_BAD_OBJECT", /not an ELF file/],
])("load %s is refused", async (program, code, message) => {
  const error = await failure(open().load(request(program, "eth0")));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test("an empty name of an interface is a mistake of the caller", async () => {
  expect((await failure(open().load(request("drop", "")))).code).toBe("XDPCTL_E_USAGE");
});

test.each(["a name with spaces", "sixteen-letters-x", "a\nb", 'qu"ote', "..", "eth0;reboot"])(
  "the interface %j is not found, and nothing else happens",
  async (name) => {
    expect((await failure(open().load(request("drop", name)))).code).toBe("XDPCTL_E_NO_INTERFACE");
  },
);
