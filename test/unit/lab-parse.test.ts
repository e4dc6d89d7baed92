// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { XdpctlError } from "../../src/errors/index.js";
import { LAB_SCHEMA, type LabFile, parseLab, readLab, schemaText } from "../../src/lab/index.js";

const failure = (text: string): XdpctlError => {
  try {
    parseLab(text, "t.yml");
  } catch (error) {
    return error as XdpctlError;
  }
  throw new Error(`it was accepted:\n${text}`);
};
const PAIR = "name: t\nnodes:\n  a:\n  b:\nlinks:\n  - a:eth0 -- b:eth0\n";

describe("the schema", () => {
  it("is what schema/lab.schema.json says", () => {
    expect(readFileSync("schema/lab.schema.json", "utf8")).toBe(schemaText());
    expect(JSON.parse(schemaText())).toEqual(LAB_SCHEMA);
  });

  it("is what the types say", () => {
    expectTypeOf<LabFile["name"]>().toEqualTypeOf<string>();
    expectTypeOf<NonNullable<LabFile["nodes"][string]>["forward"]>().toEqualTypeOf<boolean | undefined>();
    expectTypeOf<NonNullable<LabFile["links"]>[number]>().extract<string>().toEqualTypeOf<string>();
    // @ts-expect-error: there is no such setting
    const wrong: LabFile = { name: "t", nodes: { a: { fowrard: true } } };
    expect(wrong.name).toBe("t");
  });
});

describe("lab files", () => {
  it("of this repository are valid", () => {
    for (const file of readdirSync("labs")) expect(readLab(`labs/${file}`).nodes.length, file).toBeGreaterThan(1);
  });

  it("give the lab of the README", () => {
    const lab = readLab("labs/xdp.lab.yml");
    const node = (name: string) => lab.nodes.find((one) => one.name === name);
    expect(node("client")?.interfaces).toEqual([
      { name: "eth0", addresses: ["192.168.5.100/24", "fd00:5::100/64"], mtu: 1500 },
    ]);
    expect(node("client")?.routes).toEqual([
      { to: "default", via: "192.168.5.1" },
      { to: "default", via: "fd00:5::1" },
    ]);
    expect(node("xdp")).toMatchObject({ forward: true, masquerade: ["eth0"] });
    expect(node("xdp")?.routes[0]).toEqual({ to: "default", via: "192.168.6.1" });
    expect(node("internet")?.routes).toEqual([]);
    expect(lab.bridges.map((bridge) => bridge.name)).toEqual(["br-lan", "br-wan"]);
  });

  it("get addresses where they give none, the same every time", () => {
    const lab = parseLab(PAIR);
    expect(lab).toEqual(parseLab(PAIR));
    expect(lab.nodes.map((node) => node.interfaces[0]?.addresses)).toEqual([
      ["10.0.1.1/24", "fd00:0:1::1/64"],
      ["10.0.1.2/24", "fd00:0:1::2/64"],
    ]);
  });

  it("get automatic addresses around those that are given, routers first", () => {
    const lab = parseLab(`
name: t
nodes:
  a: { addresses: { eth0: 10.0.1.1/24 } }
  b:
  r: { forward: true }
bridges: { br0: , br1: { subnet: 192.0.2.0/24, subnet6: none } }
links: [ "a:eth0 -- br0", "b:eth0 -- br0", "r:eth0 -- br0", "r:eth1 -- br1", "b:eth1 -- br1" ]
`);
    const addresses = Object.fromEntries(
      lab.nodes.flatMap((n) => n.interfaces.map((i) => [`${n.name}:${i.name}`, i.addresses.join(" ")])),
    );
    expect(addresses).toEqual({
      "a:eth0": "10.0.1.1/24 fd00:0:1::2/64",
      "b:eth0": "10.0.1.3/24 fd00:0:1::3/64",
      "b:eth1": "192.0.2.2/24",
      "r:eth0": "10.0.1.2/24 fd00:0:1::1/64",
      "r:eth1": "192.0.2.1/24",
    });
    expect(lab.nodes.find((n) => n.name === "a")?.routes[0]).toEqual({ to: "default", via: "10.0.1.2" });
  });

  it("leave out networks that are in use, for the automatic ones", () => {
    const nodes = "  a: { addresses: { eth0: 172.16.0.1/24 } }\n  c: { addresses: { e1: 10.0.0.1/15 } }\n";
    const links = "links:\n  - c:e1 -- b:e1\n  - c:e2 -- b:e2\n";
    const lab = parseLab(PAIR.replace("  a:\n", nodes).replace("links:\n", links));
    const c = lab.nodes.find((node) => node.name === "c");
    expect(c?.interfaces.find((one) => one.name === "e2")?.addresses[0]).toBe("10.2.0.1/24");
  });

  it("inherit from kinds and defaults, the most specific first", () => {
    const lab = readLab("labs/kinds.lab.yml");
    const r1 = lab.nodes.find((node) => node.name === "r1");
    expect(r1).toMatchObject({ forward: true, sysctls: { "net.ipv4.tcp_syncookies": "1" }, env: { LANG: "C" } });
    const b1 = lab.nodes.find((node) => node.name === "b1");
    expect(b1?.interfaces[0]).toMatchObject({ mtu: 1400, mac: "02:00:00:00:00:77" });
  });

  it("may have bridges among the nodes, as containerlab has them", () => {
    const nodes = "nodes:\n  a: { kind: linux }\n  br0: { kind: bridge }\n";
    const lab = parseLab(`name: t\n${nodes}links:\n  - endpoints: ["a:eth0", "br0:p1"]\n`);
    expect(lab.bridges).toEqual([{ name: "br0", mtu: 1500 }]);
    expect(lab.links[0]?.ends).toEqual([
      { node: "a", interface: "eth0" },
      { bridge: "br0", port: "p1" },
    ]);
  });
});

const withA = (settings: string): string => PAIR.replace("  a:\n", `  a: { ${settings} }\n`);
const CLASH = "  a: { addresses: { eth0: 192.0.2.1/24 } }\n  b:\n    addresses:\n      eth0: 192.0.2.1/24\n";

describe("a lab file with a mistake", () => {
  it.each([
    ["a misspelt setting", "name: t\nnodes:\n  a: { fowrard: true }\n", "3:8", "did you mean forward?"],
    ["a misspelt machine", PAIR.replace("b:eth0", "bb:eth0"), "6:5", "no machine or bridge `bb` (did you mean b?)"],
    ["a duplicate name", "name: t\nnodes:\n  a:\n  a:\n", "4:3", "`a` is there twice"],
    ["an address that clashes", PAIR.replace("  a:\n  b:\n", CLASH), "6:7", "is also that of a:eth0 (line 3)"],
    ["an interface linked twice", `${PAIR}  - a:eth0 -- b:eth1\n`, "7:5", "linked twice (also line 6)"],
    ["no such interface", withA("addresses: { eth1: 192.0.2.1/24 }"), "3:21", "`eth1` (did you mean eth0?)"],
    ["a network as address", withA("addresses: { eth0: 192.0.2.0/24 }"), "3:21", "the address of its whole network"],
    ["an address without length", withA("addresses: { eth0: 192.0.2.1 }"), "3:27", "has a prefix length"],
    ["an address out of range", withA("addresses: { eth0: 192.0.2.256/24 }"), "3:21", "not an IP address"],
    ["a name with a space", 'name: t\nnodes:\n  "a b":\n', "3:3", '"a b": a machine\'s name has'],
    ["a name with a newline", 'name: t\nnodes:\n  "a\\nb":\n', "3:3", '"a\\nb"'],
    ["a name with a quote", "name: t\nnodes:\n  'a\"b':\n", "3:3", '"a\\"b"'],
    ["an interface of 16 characters", PAIR.replace("a:eth0", "a:abcdefghijklmnop"), "6:5", "more than 15 characters"],
    ["a bridge of 16 characters", "name: t\nnodes:\n  a:\nbridges:\n  abcdefghijklmnop:\n", "5:3", "1 to 15"],
    ["the loopback in a link", PAIR.replace("a:eth0", "a:lo"), "6:5", "loopback"],
    ["a lab's name with a slash", PAIR.replace("name: t", "name: ../t"), "1:7", "a lab's name has"],
    ["no name", "nodes:\n  a:\n", "1:1", "needs `name`"],
    ["a list for a map", "name: t\nnodes: [a]\n", "2:8", "must be a map, not a list"],
    ["text for a number", "name: t\nnodes:\n  a:\nbridges:\n  b: { mtu: big }\n", "5:13", "a whole number, not text"],
    ["a tiny mtu", "name: t\nnodes:\n  a:\nbridges:\n  b: { mtu: 60 }\n", "5:13", "between 68 and 65535"],
    ["a link with one end", "name: t\nnodes:\n  a:\nlinks:\n  - a:eth0\n", "5:5", "a link is written as"],
    ["three ends", 'name: t\nnodes:\n  a:\nlinks:\n  - endpoints: ["a:1", "a:2", "a:3"]\n', "5:16", "2 entries, not 3"],
    ["a far gateway", PAIR.replace("  b:\n", "  b:\n  c: { gateway: a }\n"), "5:17", "shares no network with `a`"],
    ["a far next hop", withA("routes: [default via 192.0.2.9]"), "3:17", "no network on which 192.0.2.9 could be"],
    ["masquerading behind nothing", withA("masquerade: eht0"), "3:20", "did you mean eth0?"],
    ["DHCP without a server", withA("dhcp: eth0"), "3:14", "no machine on the network of `eth0` has it"],
    ["DHCP on no interface", withA("dhcp: eht0"), "3:14", "did you mean eth0?"],
    ["a DHCP range elsewhere", withA("dhcp-server: { eth0: 10.9.9.1-10.9.9.9 }"), "3:29", "no range of addresses"],
    [
      "a DHCP range backwards",
      withA("addresses: { eth0: 10.9.9.1/24 }, dhcp-server: { eth0: 10.9.9.9-10.9.9.2 }"),
      "3:63",
      "no range of",
    ],
    ["a kind that is not there", withA("kind: vn"), "3:14", "no kind `vn`"],
    ["kinds in a circle", `${withA("kind: x")}kinds: { x: { kind: y }, y: { kind: x } }\n`, "7:10", "made of itself"],
    [
      "a full network",
      'name: t\nnodes: { a: , b: , c: }\nbridges: { br: { subnet: 192.0.2.0/30 } }\nlinks: ["a:e -- br", "b:e -- br", "c:e -- br"]\n',
      "3:12",
      "no free address for c:e",
    ],
    ["a foreign setting", withA("sysctls: { kernel.panic: 1 }"), "3:19", "only settings of the machine's own network"],
    [
      "two documents",
      "name: t\nnodes:\n  a:\n---\nname: u\n",
      "4:1",
      "one lab a file: there is a second document at line 4",
    ],
    ["a very deep list", `name: t\nnodes: ${"[".repeat(20_000)}\n`, "", "it is nested too deep"],
    ["a duplicate name in quotes", 'name: t\nnodes:\n  a:\n  # again\n  "a":\n', "5:3", "`a` is there twice"],
    ["a duplicate setting", withA("forward: true, forward: false"), "3:23", "`forward` is there twice"],
    ["a machine called switch", "name: t\nnodes:\n  switch:\n", "3:3", "the lab's own namespace"],
    ["broken YAML", "name: t\nnodes: {\n", "", "not valid YAML"],
    ["nothing at all", "", "1:1", "must be a map, not nothing"],
  ])("says where and what: %s", (_, text, place, message) => {
    const error = failure(text);
    expect(error.code).toBe("XDPCTL_E_LAB_FILE");
    expect(error.exitCode).toBe(7);
    expect(error.message).toContain(message);
    expect(error.message.slice(0, 6 + place.length)).toBe(`t.yml:${place}`);
    expect(error.message).not.toContain("\n");
  });

  it.each([
    "net/../../../tmp/x",
    "net/ipv4/../../kernel/panic",
    "net/..",
    "net/.",
    "net/./ipv4",
    "net//ipv4",
    "net/ipv4/",
    "net/",
    "/net/ipv4/ip_forward",
    "../net/ipv4",
    "net..ipv4",
    "net.ipv4.",
    "net.ipv4/../../kernel/panic",
    "net/ipv4.../../x\n",
    "net/ipv4/tcp_syncookies\n",
    "net",
    "kernel.panic",
    "network/x",
  ])("may not set %j", (name) => {
    for (const where of [withA(`sysctls: { ${JSON.stringify(name)}: 1 }`)]) {
      const error = failure(where);
      expect(error.code).toBe("XDPCTL_E_LAB_FILE");
      expect(error.message).toMatch(/^t\.yml:3:19: .*only settings of the machine's own network/);
    }
    const settings = `{ sysctls: { ${JSON.stringify(name)}: 1 } }`;
    expect(failure(`${PAIR}defaults: ${settings}\n`).code).toBe("XDPCTL_E_LAB_FILE");
    expect(failure(`${PAIR}kinds: { k: ${settings} }\n`).code).toBe("XDPCTL_E_LAB_FILE");
  });

  it.each([
    "net.ipv4.tcp_syncookies",
    "net/ipv4/conf/eth0.100/forwarding",
    "net/ipv4/conf/..a/forwarding",
    "net/ipv6/conf/a@b+c=d/accept_ra",
  ])("may set %s", (name) => {
    const lab = parseLab(withA(`sysctls: { ${name}: 1 }`));
    expect(lab.nodes[0]?.sysctls).toEqual({ [name]: "1" });
  });

  it("shows what is around the mistake of a long line", () => {
    const nodes = (count: number): string => Array.from({ length: count }, (_, i) => `n${i}: {}`).join(", ");
    const shownOf = (text: string): [string, string] => {
      const [source = "", caret = ""] = failure(text).lines ?? [];
      expect(source.length).toBeLessThanOrEqual(160);
      return [source, source.slice(caret.length - 1)];
    };
    const wrong = "x: { fowrard: true }";
    const middle = shownOf(`name: t\nnodes: { ${nodes(500)}, ${wrong}, y: {}, ${nodes(0)}z: { env: {} } }\n`);
    expect(middle[0]).toMatch(/^…/);
    expect(middle[1]).toMatch(/^fowrard/);
    const first = shownOf(`name: t\nnodes: { ${wrong}, ${nodes(500)} }\n`);
    expect(first[0]).toMatch(/^nodes: .*…$/);
    expect(first[1]).toMatch(/^fowrard/);
  });

  it("shows the line, and the other mistakes", () => {
    const error = failure("name: t\nnodes:\n  a: { fowrard: true }\n  b: { kidn: x }\n");
    expect(error.lines).toEqual([
      "  a: { fowrard: true }",
      "       ^",
      expect.stringContaining("t.yml:4:8: `nodes.b` has no setting `kidn` (did you mean kind?)"),
    ]);
  });

  it("that is hostile neither hangs nor grows", () => {
    const aliases = Array.from({ length: 30 }, (_, i) => `  n${i}: *l0\n`).join("");
    expect(parseLab(`name: t\nnodes:\n  a: &l0 { env: { A: x } }\n${aliases}`).nodes).toHaveLength(31);
    const nine = (i: number): string => Array(9).fill(`*l${i}`).join(", ");
    const layers = Array.from({ length: 12 }, (_, i) => `  - endpoints: &l${i + 1} [${nine(i)}]\n`).join("");
    expect(failure(`name: t\nnodes: {}\nlinks:\n  - &l0 "a:x -- b:x"\n${layers}`).code).toBe("XDPCTL_E_LAB_FILE");
    expect(failure("name: t\nnodes: &x { a: *x }\n").code).toBe("XDPCTL_E_LAB_FILE");
    expect(failure(`name: t\nnodes: ${"[".repeat(5000)}\n`).code).toBe("XDPCTL_E_LAB_FILE");
    expect(failure(`# ${"x".repeat(2 << 20)}`).message).toContain("at most one mebibyte");
    expect(failure("name: t\nnodes: { __proto__: { forward: true } }\n").message).toContain("__proto__");
    expect(({} as { forward?: boolean }).forward).toBeUndefined();
  });

  it("of thousands of machines takes no time that grows with their square", () => {
    const many = (line: (i: number) => string): string => Array.from({ length: 5000 }, (_, i) => line(i)).join("");
    const machines = many((i) => `  m${i}:\n`);
    const start = performance.now();
    const bridged = `name: t\nnodes:\n${machines}bridges:\n  br: { subnet: 10.0.0.0/16 }\nlinks:\n`;
    const lab = parseLab(bridged + many((i) => `  - m${i}:eth0 -- br\n`));
    expect(lab.nodes[4999]?.interfaces[0]?.addresses).toEqual(["10.0.19.136/16", "fd00:0:1::1388/64"]);
    const star = `name: t\nnodes:\n  r: { forward: true }\n${machines}links:\n`;
    const rays = parseLab(star + many((i) => `  - m${i}:eth0 -- r:e${i}\n`));
    expect(rays.nodes[5000]?.routes).toEqual([
      { to: "default", via: "10.19.136.1" },
      { to: "default", via: "fd00:0:1388::1" },
    ]);
    const aliases = `name: t\nnodes:\n  a: &x { env: { A: x } }\n${many((i) => `  m${i}: *x\n`)}`;
    expect(parseLab(aliases).nodes[5000]?.env).toEqual({ A: "x" });
    const wrong = `name: t\nnodes:\n${machines}links:\n${many((i) => `  - x${i}:e -- y${i}:e\n`)}`;
    expect(failure(wrong).message).toContain("did you mean");
    // Half a second each where this was written; with their square it would be a minute.
    expect(performance.now() - start).toBeLessThan(12_000);
  }, 30_000);

  it("that is missing is said so", () => {
    expect(() => readLab("no/such.lab.yml")).toThrow("there is no such file");
  });
});

describe("containers", () => {
  const file = (settings: string): string => `name: t\nnodes:\n  a: { ${settings} }\n`;
  const container = (settings: string) => parseLab(file(`kind: container, ${settings}`)).nodes[0]?.container;

  it("have an image, and defaults for all else", () => {
    expect(container("image: xdpctl/host")).toEqual({
      image: "xdpctl/host",
      command: null,
      mounts: [],
      capabilities: { add: ["CAP_NET_ADMIN", "CAP_NET_RAW"], drop: [] },
      ready: null,
      pull: false,
    });
  });

  it("have what the file says: words as they are, a line for the shell", () => {
    expect(
      container(
        "image: debian:12, command: [a, b c], ready: { command: x | y, within: 1.5s }, pull: missing, " +
          "capabilities: { add: [bpf], drop: [CAP_NET_RAW] }, mounts: ['./f:/srv:ro', { source: /a:b, target: /t }]",
      ),
    ).toEqual({
      image: "debian:12",
      command: ["a", "b c"],
      mounts: [
        { source: "./f", target: "/srv", readonly: true },
        { source: "/a:b", target: "/t", readonly: false },
      ],
      capabilities: { add: ["CAP_BPF", "CAP_NET_ADMIN"], drop: ["CAP_NET_RAW"] },
      ready: { command: ["/bin/sh", "-c", "x | y"], withinMs: 1500 },
      pull: true,
    });
    expect(container("image: a, command: sleep 1")?.command).toEqual(["/bin/sh", "-c", "sleep 1"]);
    expect(container("image: a, command: []")?.command).toEqual([]);
    expect(container("image: a, ready: [test, -f, /x]")?.ready).toEqual({
      command: ["test", "-f", "/x"],
      withinMs: 10_000,
    });
  });

  it("are refused where they can't be", () => {
    expect(failure(file("kind: container")).message).toContain("the container `a` needs an `image`");
    expect(failure(file("image: x")).message).toContain("`image` is a setting of containers: `kind: container`");
    expect(failure(file("kind: container, image: -x")).message).toContain("an image is named as");
    expect(failure(file("kind: container, image: x, mounts: [a]")).message).toContain("a mount is written as");
    expect(failure(file("kind: container, image: x, mounts: ['a:/x', 'b:/x']")).message).toContain("mounted twice");
    expect(failure(file("kind: container, image: x, pull: always")).message).toContain("`never` or `missing`");
    expect(failure(file("kind: container, image: x, ready: []")).message).toContain("at least 1 entries, not 0");
    expect(failure(file("kind: container, image: x, capabilities: { add: ['a b'] }")).message).toContain("NET_ADMIN");
  });

  it("of `defaults` and kinds are merged as all is, and mean nothing to other machines", () => {
    const lab = parseLab(
      "name: t\ndefaults: { image: x }\nkinds: { box: { kind: container, command: [y] } }\nnodes: { a: { kind: box }, b: }\n",
    );
    expect(lab.nodes.map((node) => [node.kind, node.container?.image, node.container?.command])).toEqual([
      ["container", "x", ["y"]],
      ["netns", undefined, undefined],
    ]);
  });
});

describe("modules of a guest", () => {
  const parsed = (module: string) =>
    parseLab(`name: t\nnodes: { a: { kind: vm, modules: [${JSON.stringify(module)}] } }\n`).nodes[0]?.vm?.modules;

  it("are names, files of any path, and those of kmod/", () => {
    for (const module of ["sch_netem", "./build/kmod/7.2.12+deb13-cloud-amd64/a b.ko", "kmod:genl-echo"])
      expect(parsed(module)).toEqual([module]);
    for (const module of ["", "kmod:", "kmod:../x", "a\n"]) expect(() => parsed(module)).toThrow(/a module is/);
  });
});
