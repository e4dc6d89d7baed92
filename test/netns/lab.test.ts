// SPDX-License-Identifier: MIT
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { BpfObject } from "../../src/bpf/index.js";
import type { XdpctlError } from "../../src/errors/index.js";
import { bringUp, deploy, destroy, gc, Lab, list, parseLab, readLab } from "../../src/lab/index.js";
import { BPF_FS_MAGIC, fileSystemType, inNamespaces, namespaceInode } from "../../src/linux/index.js";
import {
  EthtoolSocket,
  openRoute,
  type RouteSocket,
  requests,
  XDP_FEATURES,
  XDP_FLAGS,
} from "../../src/netlink/index.js";
import { compileBpf } from "../fixtures/compile.js";
import { remaining, snapshot } from "../fixtures/leaks.js";

const NAME = `t${process.pid}`;
const before = snapshot();
const made = new Set<string>();

const up = (text: string | "xdp", name = NAME): Lab => {
  made.add(name);
  return deploy(text === "xdp" ? readLab("labs/xdp.lab.yml") : parseLab(text), { name });
};
const failure = (body: () => unknown): XdpctlError => {
  try {
    body();
  } catch (error) {
    return error as XdpctlError;
  }
  throw new Error("it did not fail");
};
const run = (lab: Lab, node: string, ...argv: [string, ...string[]]) =>
  lab.inside(node, () => spawnSync(argv[0], argv.slice(1), { encoding: "utf8", env: process.env }));
const ping = (lab: Lab, node: string, ...args: string[]) => run(lab, node, "ping", "-c1", "-W2", ...args);
const withRoute = <T>(lab: Lab, node: string, body: (route: RouteSocket) => T): T =>
  lab.inside(node, () => {
    const route = openRoute();
    try {
      return body(route);
    } finally {
      route.close();
    }
  });
const addresses = (lab: Lab, node: string): string[] =>
  lab
    .inspect()
    .nodes.find((one) => one.name === node)
    ?.interfaces.flatMap((one) => one.addresses) ?? [];

const PAIR = "name: t\nnodes:\n  a:\n  b:\nlinks:\n  - a:eth0 -- b:eth0\n";

afterEach(async () => {
  for (const name of made) if (list().some((lab) => lab.name === name)) destroy(name);
  made.clear();
  // Guests of somebody else may come and go meanwhile.
  const mine = (what: string): boolean => what.includes(NAME) || /\/run\/xdpctl(?!\/vm)/.test(what);
  expect((await remaining(before, undefined, 0)).filter(mine)).toEqual([]);
});

describe("DHCP", () => {
  const TEXT = (range: string): string =>
    `name: t\nnodes:\n  client: { dhcp: eth0 }\n  stranger: {}\n  router:\n    forward: true\n    addresses: { eth1: 192.168.5.1/24 }\n    dhcp-server: { eth1: ${range} }\nbridges: { lan: {} }\nlinks: ["client:eth0 -- lan", "stranger:eth0 -- lan", "router:eth1 -- lan"]\n`;
  const log = (): string => readFileSync(`/run/xdpctl/labs/${NAME}/nodes/router/dnsmasq.log`, "utf8");
  const servers = (lab: Lab): number[] =>
    lab
      .inspect()
      .nodes.flatMap(({ processes }) => processes.filter((one) => one.command === "dnsmasq").map((p) => p.pid));

  it("gives a machine the address that is its own, and the way out, and strangers one of the range", () => {
    const lab = up(TEXT("192.168.5.100-192.168.5.200"));
    expect(log()).toMatch(/DHCPACK\(eth1\) 192\.168\.5\.2 \S+ client/);
    expect(addresses(lab, "client")).toContain("192.168.5.2/24");
    expect(run(lab, "client", "ip", "route", "show", "default").stdout).toContain("via 192.168.5.1 dev eth0");
    expect(ping(lab, "client", "router").status).toBe(0);
    const asked = run(lab, "stranger", `${process.cwd()}/build/agent/agent`, "dhcp", "eth0", "5");
    expect(asked.stdout).toMatch(/^192\.168\.5\.(1\d\d|200)\/24\nrouter 192\.168\.5\.1\n/);

    const [server] = servers(lab);
    const answers = log().length;
    up(TEXT("192.168.5.100-192.168.5.200"));
    expect({ servers: servers(lab), log: log().length }).toEqual({ servers: [server], log: answers });
    const other = up(TEXT("192.168.5.150-192.168.5.200"));
    expect(servers(other)).toHaveLength(1);
    expect(servers(other)).not.toEqual([server]);
    expect(addresses(other, "client")).toContain("192.168.5.2/24");
  });

  it("is not waited for when told to end, and the lab is unfinished until then", async () => {
    made.add(NAME);
    const stop = new AbortController();
    const state = () =>
      JSON.parse(readFileSync(`/run/xdpctl/labs/${NAME}/state.json`, "utf8")) as {
        phase: string;
        dhcp?: { router?: { process: { pid: number } } };
      };
    const coming = bringUp(parseLab(TEXT("192.168.5.100-192.168.5.200")), {
      name: NAME,
      signal: () => stop.signal,
      // A server that is there and does not answer.
      onProgress: ({ step }) => step === "ready" && process.kill(state().dhcp?.router?.process.pid ?? 0, "SIGSTOP"),
    });
    const phases: string[] = [];
    setTimeout(() => {
      phases.push(state().phase);
      stop.abort();
    }, 300);
    const start = performance.now();
    await expect(coming).rejects.toMatchObject({ code: "XDPCTL_E_INTERRUPTED" });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(phases).toEqual(["deploying"]);
    expect(list().map((lab) => lab.name)).not.toContain(NAME);
  });
});

describe("labs/xdp.lab.yml", () => {
  it("has machines that reach each other by name, through routers that masquerade", async () => {
    const lab = up("xdp");
    expect(ping(lab, "client", "server").stdout).toContain("64 bytes from server (192.168.6.1): icmp_seq=1 ttl=63");
    expect(ping(lab, "client", "internet").stdout).toContain("64 bytes from internet (203.0.113.2): icmp_seq=1 ttl=62");
    expect(ping(lab, "client", "internet6").stdout).toMatch(/64 bytes from internet6 \(2001:db8:203::2\).* ttl=62/);
    expect(ping(lab, "xdp", "client").status).toBe(0);
    // Nobody behind the routers is to be reached from before them.
    expect(ping(lab, "internet", "-W1", "192.168.6.1").status).not.toBe(0);
    for (const [node, name, source] of [
      ["server", "eth0", "192.168.6.100"],
      ["internet", "eth0", "203.0.113.1"],
    ] as const) {
      const sniffer = lab.spawn(node, ["tcpdump", "-nlc1", "-i", name, "icmp"]);
      let seen = "";
      sniffer.stdout?.on("data", (data) => {
        seen += data;
      });
      let ready = "";
      while (!ready.includes("listening"))
        ready += String((await once(sniffer.stderr as NodeJS.ReadableStream, "data"))[0]);
      ping(lab, "client", node);
      await once(sniffer, "close");
      expect(seen).toContain(`IP ${source} > `);
    }
  });

  it("has machines with a name, files, /sys and a bpffs of their own", () => {
    const lab = up("xdp");
    expect(run(lab, "server", "hostname").stdout).toBe("server\n");
    expect(run(lab, "server", "cat", "/etc/hosts").stdout).toContain("192.168.5.1\txdp\n");
    expect(run(lab, "xdp", "ls", "/sys/class/net").stdout.split("\n").sort()).toEqual(["", "eth0", "eth1", "lo"]);
    const pin = "/sys/fs/bpf/mine";
    lab.inside("xdp", () => {
      expect(fileSystemType("/sys/fs/bpf")).toBe(BPF_FS_MAGIC);
      mkdirSync(pin);
    });
    expect(lab.inside("server", () => existsSync(pin))).toBe(false);
    expect(existsSync(pin)).toBe(false);
    expect(
      lab.inside(
        "server",
        () => spawnSync("sh", ["-c", "xdpctl version"], { env: lab.environment("server") as NodeJS.ProcessEnv }).error,
      ),
    ).toBeUndefined();
    // No machine holds the namespaces of another, or of another lab.
    expect(run(lab, "client", "cat", "/proc/self/mountinfo").stdout).not.toContain("nsfs");
  });

  it("is at hand for ip netns users", () => {
    const lab = up("xdp");
    const names = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout;
    for (const node of [...lab.nodes, "switch"]) expect(names).toMatch(new RegExp(`^${NAME}-${node}\\b`, "m"));
    const shown = spawnSync("ip", ["-n", `${NAME}-xdp`, "-br", "addr"], { encoding: "utf8" }).stdout;
    expect(shown).toContain("192.168.6.100/24");
    const links = spawnSync("ip", ["-n", `${NAME}-switch`, "-br", "link"], { encoding: "utf8" }).stdout;
    expect(links).toContain("client.eth0");
  });

  it("can be inspected", () => {
    const lab = up("xdp");
    const found = Lab.open(NAME).inspect();
    expect(found).toEqual(lab.inspect());
    const xdp = found.nodes.find((node) => node.name === "xdp");
    expect(xdp?.state).toBe("ready");
    expect(xdp?.interfaces.map(({ name, up, carrier, peer, xdp }) => [name, up, carrier, peer, xdp])).toEqual([
      ["eth1", true, true, "br-lan", null],
      ["eth0", true, true, "br-wan", null],
    ]);
    expect(xdp?.routes).toContain("default via 192.168.6.1 dev eth0");
    expect(list().find((one) => one.name === NAME)).toMatchObject({ state: "ready", nodes: lab.nodes });
  });
});

describe("links", () => {
  it("are right for XDP at both ends: GRO on, offloads off", () => {
    const lab = up("xdp");
    for (const node of [...lab.nodes, "switch"]) {
      const path = `/run/netns/${NAME}-${node}`;
      const read = (): void => {
        const route = openRoute();
        const ethtool = new EthtoolSocket();
        for (const link of route.links().filter((one) => one.kind === "veth")) {
          const on = ethtool.features(link.index);
          const got = Object.fromEntries(Object.keys(XDP_FEATURES).map((name) => [name, on.has(name)]));
          expect(got, `${node}:${link.name}`).toEqual(XDP_FEATURES);
        }
        route.close();
        ethtool.close();
      };
      if (node === "switch") inNetwork(path, read);
      else lab.inside(node, read);
    }
  });

  it("carry what a program sends back (XDP_TX needs NAPI at the peer)", async () => {
    const lab = up(PAIR);
    const object = compileBpf(
      `
SEC("xdp")
int bounce(struct xdp_md *ctx)
{
	return XDP_TX;
}
`,
      "bounce",
    );
    const program = await BpfObject.load(object);
    try {
      withRoute(lab, "b", (route) =>
        route.setXdp(route.link("eth0")?.index ?? 0, program.programs.bounce?.fd ?? -1, XDP_FLAGS.DRV_MODE),
      );
      // Nobody answers ARP any more.
      const there = withRoute(lab, "b", (route) => route.link("eth0")?.address ?? "");
      withRoute(lab, "a", (route) =>
        route.execute([requests.addNeighbour(route.link("eth0")?.index ?? 0, "10.0.1.2", there)]),
      );
      const received = (): number => Number(run(lab, "a", "cat", "/sys/class/net/eth0/statistics/rx_packets").stdout);
      const start = received();
      run(lab, "a", "ping", "-c3", "-i0.05", "-W1", "b");
      expect(received()).toBeGreaterThanOrEqual(start + 3);
    } finally {
      program.close();
    }
  });

  it("too small for IPv6 have IPv4 alone", () => {
    const text = PAIR.replace("- a:eth0 -- b:eth0", '- endpoints: ["a:eth0", "b:eth0"]\n    mtu: 1000');
    expect(addresses(up(text), "a")).toEqual(["10.0.1.1/24"]);
  });

  it("have the mtu and the hardware address of the file", () => {
    const lab = up(
      'name: t\nnodes: { a: , b: }\nlinks:\n  - endpoints: [{ node: a, interface: x0, mac: "02:00:00:00:00:aa" }, "b:y0"]\n    mtu: 1434\n',
    );
    expect(lab.inspect().nodes.flatMap((node) => node.interfaces.map((one) => [one.name, one.mtu]))).toEqual([
      ["x0", 1434],
      ["y0", 1434],
    ]);
    expect(lab.inspect().nodes[0]?.interfaces[0]?.mac).toBe("02:00:00:00:00:aa");
  });
});

const inNetwork = (path: string, body: () => void): void => {
  inNamespaces({ net: path }, body);
};

describe("commands in machines", () => {
  it("get arguments as they are, streams, environment and exit status", async () => {
    const lab = up(PAIR.replace("  a:\n", "  a: { env: { COLOUR: blue } }\n"));
    const child = lab.spawn("a", [
      "sh",
      "-c",
      'cat; printf "%s|" "$@" "$COLOUR" "$XDPCTL_NODE"; echo oops >&2; exit 42',
      "sh",
      "a b",
      "",
      "$x",
      "é\n",
    ]);
    const output = { out: "", err: "" };
    child.stdout?.on("data", (data) => {
      output.out += data;
    });
    child.stderr?.on("data", (data) => {
      output.err += data;
    });
    child.stdin?.end("input;");
    const [code] = await once(child, "close");
    expect({ code, ...output }).toEqual({ code: 42, out: "input;a b||$x|é\n|blue|a|", err: "oops\n" });
  });

  it("that are not there are the child's error", async () => {
    const lab = up(PAIR);
    const [error] = await once(lab.spawn("a", ["no-such-command"]), "error");
    expect(error).toMatchObject({ code: "ENOENT" });
  });

  it("need a machine that there is", () => {
    const lab = up(PAIR);
    expect(failure(() => lab.spawn("bb", ["true"]))).toMatchObject({
      code: "XDPCTL_E_NO_NODE",
      message: expect.stringContaining("did you mean b?"),
    });
    expect(failure(() => Lab.open(`${NAME}x`)).code).toBe("XDPCTL_E_NO_LAB");
    expect(failure(() => Lab.open("../etc")).code).toBe("XDPCTL_E_NO_LAB");
  });

  it("are ended with the lab", async () => {
    const lab = up(PAIR);
    const gentle = lab.spawn("a", ["sleep", "1000"]);
    const stubborn = lab.spawn("b", ["sh", "-c", 'trap "" TERM HUP; echo ready; while :; do sleep 1; done']);
    await once(stubborn.stdout as NodeJS.ReadableStream, "data");
    const ends = Promise.all([once(gentle, "exit"), once(stubborn, "exit")]);
    expect(lab.inspect().nodes[0]?.processes).toEqual([{ pid: gentle.pid, command: "sleep" }]);
    lab.destroy();
    const [[, first], [, second]] = await ends;
    expect([first, second]).toEqual([expect.stringMatching(/SIGHUP|SIGTERM/), "SIGKILL"]);
  });
});

describe("deploying again", () => {
  it("leaves alone what is right", async () => {
    const lab = up("xdp");
    const inode = namespaceInode(lab.namespaces("xdp").net);
    const index = withRoute(lab, "xdp", (route) => route.link("eth0")?.index);
    const child = lab.spawn("xdp", ["sleep", "1000"]);
    const kept: unknown[] = [];
    const again = deploy(readLab("labs/xdp.lab.yml"), {
      name: NAME,
      onProgress: (p) => p.step === "ready" && kept.push(p.kept),
    });
    expect(kept).toEqual([true, true, true, true]);
    expect(namespaceInode(again.namespaces("xdp").net)).toBe(inode);
    expect(withRoute(again, "xdp", (route) => route.link("eth0")?.index)).toBe(index);
    expect(child.exitCode).toBeNull();
    expect(ping(again, "client", "internet").status).toBe(0);
    const ended = once(child, "exit");
    child.kill();
    await ended;
  });

  it("repairs what was taken away", () => {
    const lab = up("xdp");
    withRoute(lab, "client", (route) => {
      route.deleteLink(route.link("eth0")?.index ?? 0);
    });
    withRoute(lab, "server", (route) => {
      const index = route.link("eth0")?.index ?? 0;
      route.deleteAddress(index, "192.168.6.1/24");
      route.setLink(index, { up: false });
    });
    run(lab, "xdp", "nft", "delete", "table", "inet", "xdpctl_lab");
    unlinkSync(`/run/netns/${NAME}-client`);
    up("xdp");
    expect(ping(lab, "client", "internet").status).toBe(0);
    expect(existsSync(`/run/netns/${NAME}-client`)).toBe(true);
  });

  it("follows the file: machines, links, addresses, routes and roles come and go", () => {
    const lab = up(`name: t
nodes:
  a: { addresses: { eth0: 192.0.2.1/24 }, routes: [198.51.100.0/24 via 192.0.2.2] }
  b: { forward: true, masquerade: eth0 }
  gone:
bridges: { br0: , br1: }
links: [ "a:eth0 -- b:eth0", "gone:eth0 -- br0", "a:eth1 -- br0", "b:eth1 -- br1" ]
`);
    const inode = namespaceInode(lab.namespaces("a").net);
    const removed: unknown[] = [];
    const now = deploy(
      parseLab(`name: t
nodes:
  a: { addresses: { eth0: [192.0.2.7/24, 192.0.2.8/24] } }
  b:
  new: { addresses: { eth0: 10.9.0.1/24 } }
bridges: { br0: }
links: [ "a:eth0 -- b:eth0", "new:eth0 -- br0", "a:eth1 -- br0" ]
`),
      { name: NAME, onProgress: (p) => p.step === "removed" && removed.push(p.node) },
    );
    expect(removed).toEqual(["gone"]);
    expect(now.nodes).toEqual(["a", "b", "new"]);
    expect(namespaceInode(now.namespaces("a").net)).toBe(inode);
    expect(addresses(now, "a")).toEqual(expect.arrayContaining(["192.0.2.7/24", "192.0.2.8/24"]));
    expect(addresses(now, "a")).not.toContain("192.0.2.1/24");
    expect(now.inspect().nodes[0]?.routes).toEqual([]);
    expect(now.inspect().nodes[1]?.interfaces.map((one) => one.name)).toEqual(["eth0"]);
    expect(run(now, "b", "cat", "/proc/sys/net/ipv4/ip_forward").stdout).toBe("0\n");
    expect(run(now, "b", "nft", "list", "ruleset").stdout).toBe("");
    expect(ping(now, "a", "new").status).toBe(0);
    expect(existsSync(`/run/netns/${NAME}-gone`)).toBe(false);
    const links = spawnSync("ip", ["-n", `${NAME}-switch`, "-br", "link"], { encoding: "utf8" }).stdout;
    expect(links).not.toContain("br1");
    expect(links).not.toContain("gone");
    removed.length = 0;
    const file = 'name: t\nnodes: { a: , b: }\nlinks: [ "a:eth0 -- b:eth0" ]\n';
    deploy(parseLab(file), { name: NAME, onProgress: (p) => p.step === "removed" && removed.push(p.node) });
    // The machine behind the bridges goes, too, and is nobody's.
    expect(removed).toEqual(["new"]);
  });

  it("that fails leaves the lab as it was", () => {
    const lab = up(PAIR);
    withRoute(lab, "a", (route) => route.addBridge({ name: "eth5" }));
    const error = failure(() =>
      deploy(
        parseLab(
          PAIR.replace("  b:\n", "  b:\n  c:\n").replace(
            "links:\n",
            "links:\n  - a:eth5 -- b:eth5\n  - c:eth0 -- b:eth6\n",
          ),
        ),
        { name: NAME },
      ),
    );
    expect(error.code).toBe("XDPCTL_E_INTERFACE_EXISTS");
    expect(error.remedy).toContain("delete the old link");
    expect(error.message).toContain("linking a:eth5 with b:eth5");
    expect(error.message).toContain("EEXIST");
    const now = Lab.open(NAME);
    expect(now.nodes).toEqual(["a", "b"]);
    expect(now.inspect().nodes[1]?.interfaces.map((one) => one.name)).toEqual(["eth0"]);
    expect(ping(now, "a", "b").status).toBe(0);
  });
});

describe("labs beside each other", () => {
  it("do not meet, be it the same file", () => {
    const first = up("xdp");
    const second = up("xdp", `${NAME}b`);
    expect(ping(first, "client", "server").status).toBe(0);
    expect(ping(second, "client", "server").status).toBe(0);
    expect(namespaceInode(first.namespaces("client").net)).not.toBe(namespaceInode(second.namespaces("client").net));
    const net = readlinkSync(`/run/netns/${NAME}-client`);
    first.destroy();
    expect(existsSync(net)).toBe(false);
    expect(ping(second, "client", "internet").status).toBe(0);
  });

  it("leave a namespace alone that has the name of a machine", () => {
    const foreign = `${NAME}-a`;
    spawnSync("ip", ["netns", "add", foreign]);
    try {
      const error = failure(() => up(PAIR));
      expect(error.code).toBe("XDPCTL_E_LAB_CONFLICT");
      expect(error.message).toContain(foreign);
      expect(existsSync(`/run/netns/${foreign}`)).toBe(true);
      expect(list().some((one) => one.name === NAME)).toBe(false);
    } finally {
      spawnSync("ip", ["netns", "delete", foreign]);
    }
  });
});

describe("taking down", () => {
  const state = () => ({
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ").slice(3).join(" ")),
    names: existsSync("/run/netns") ? readdirSync("/run/netns") : undefined,
    run: existsSync("/run/xdpctl/labs") ? readdirSync("/run/xdpctl/labs") : undefined,
    links: readdirSync("/sys/class/net"),
  });

  it("leaves nothing: no mount, name, file, link", () => {
    const start = state();
    const lab = up("xdp");
    expect(state()).not.toEqual(start);
    lab.destroy();
    expect(state()).toEqual(start);
    expect(failure(() => lab.destroy()).code).toBe("XDPCTL_E_NO_LAB");
  });
});

describe("failures and crashes", () => {
  it("a deploy that fails leaves nothing", () => {
    const error = failure(() => up(PAIR.replace("  a:\n", "  a: { sysctls: { net.no.such: 1 } }\n")));
    expect(error.code).toBe("XDPCTL_E_LAB_DEPLOY");
    expect(error.message).toContain("net.no.such");
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
  });

  it("a deploy writes no setting outside of its machine's network", () => {
    const target = `/tmp/${NAME}-written`;
    const [first, ...others] = parseLab(PAIR).nodes;
    if (first === undefined) throw new Error("no machine");
    for (const name of [
      `net/../../..${target}`,
      `net/ipv4/../../../..${target}`,
      "net/../kernel/hostname",
      "net//ipv4/ip_forward",
      "net/./ipv4/ip_forward",
      "kernel.hostname",
      "net",
    ]) {
      // The parser refuses these; a lab may also be described by a program.
      const spec = { ...parseLab(PAIR), nodes: [{ ...first, sysctls: { [name]: "x" } }, ...others] };
      const error = failure(() => deploy(spec, { name: NAME }));
      expect([name, error.code]).toEqual([name, "XDPCTL_E_LAB_DEPLOY"]);
      expect(error.message).toContain("no setting of a machine's own network");
      expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    }
    expect(existsSync(target)).toBe(false);
    // A name of an interface has dots as well.
    const lab = up(
      PAIR.replace("  a:\n", '  a: { sysctls: { "net/ipv4/conf/eth0.1/forwarding": 1 } }\n').replace(
        "a:eth0",
        "a:eth0.1",
      ),
    );
    expect(run(lab, "a", "cat", "/proc/sys/net/ipv4/conf/eth0.1/forwarding").stdout).toBe("1\n");
  });

  it("names that can't be are refused", () => {
    for (const name of ["", "a b", "a\nb", "../a", 'a"b', "x".repeat(33)]) {
      expect(failure(() => deploy(parseLab(PAIR), { name })).code).toBe("XDPCTL_E_BAD_NAME");
    }
  });

  // Where the process ends: at that step, of that machine.
  it.each(["intent", "machine", "links", "pinned"])("kill -9 at the step `%s` is cleaned up", async (step) => {
    await crash(step);
    const [lab] = list().filter((one) => one.name === NAME);
    expect(lab?.state).toBe("unfinished");
    expect(failure(() => Lab.open(NAME)).code).toBe("XDPCTL_E_LAB_CONFLICT");
    expect(gc()).toEqual([{ lab: NAME, reason: "its deploy was not finished" }]);
    expect(list().some((one) => one.name === NAME)).toBe(false);
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    expect(gc()).toEqual([]);
  });

  it("the next deploy cleans up as well", async () => {
    await crash("pinned");
    const lab = up("xdp");
    expect(ping(lab, "client", "server").status).toBe(0);
  });

  it("gc spares labs that run, what others made, and names that look like ours", () => {
    const lab = up(PAIR);
    const link = `/run/netns/${NAME}-stranger`;
    symlinkSync("/proc/1/ns/net", link);
    try {
      expect(gc()).toEqual([]);
      expect(existsSync(link) || readdirSync("/run/netns").includes(`${NAME}-stranger`)).toBe(true);
      expect(ping(lab, "a", "b").status).toBe(0);
    } finally {
      unlinkSync(link);
    }
  });

  it("a lab that is tied to a process goes with it", async () => {
    await crash("ready", true);
    expect(list().find((one) => one.name === NAME)?.state).toBe("ready");
    expect(gc()).toEqual([{ lab: NAME, reason: expect.stringMatching(/its process \d+ is gone/) }]);
  });

  it("remains of an earlier boot are only files", () => {
    made.add(NAME);
    mkdirSync(`/run/xdpctl/labs/${NAME}/nodes/a`, { recursive: true });
    writeFileSync(`/run/xdpctl/labs/${NAME}/nodes/a/net`, "");
    expect(gc()).toEqual([{ lab: NAME, reason: "its state can't be read" }]);
  });

  async function crash(step: string, tied = false): Promise<void> {
    made.add(NAME);
    const { buildSync } = await import("esbuild");
    const script = `
import { deploy, readLab } from "./src/lab/index.ts";
deploy(readLab("labs/xdp.lab.yml"), { name: ${JSON.stringify(NAME)}, tied: ${tied}, onProgress: ({ step, node }) => {
  if (step === ${JSON.stringify(step)} && (node === undefined || node === "server")) process.kill(process.pid, "SIGKILL");
} });
process.kill(process.pid, "SIGKILL");`;
    const { outputFiles } = buildSync({
      stdin: { contents: script, resolveDir: process.cwd(), loader: "ts" },
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      write: false,
      packages: "external",
    });
    // From standard input, packages are found from the current directory.
    const child = spawn(process.execPath, ["--input-type=module"], { stdio: ["pipe", "inherit", "inherit"] });
    child.stdin.end(outputFiles[0]?.text);
    const [code, signal] = await once(child, "exit");
    expect([code, signal]).toEqual([null, "SIGKILL"]);
    expect(readFileSync(`/run/xdpctl/labs/${NAME}/state.json`, "utf8")).toContain(NAME);
  }
});
