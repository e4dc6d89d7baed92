// SPDX-License-Identifier: MIT
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LinkEvent, LostEvent } from "../../src/events/index.js";
import { Loop } from "../../src/loop/index.js";
import {
  EthtoolSocket,
  GenericMonitor,
  GenericSocket,
  LinkMonitor,
  openRoute,
  type RouteSocket,
  requests,
} from "../../src/netlink/index.js";
import { TestNamespace } from "../fixtures/netns.js";

/** What an ordinary socket has (net.core.rmem_default); ours is larger, and would need thousands of links. */
const ORDINARY_BUFFER = 106_496;
const PAIRS = 100;
/** A dump waits for the kernel's one lock, which the links that come and go hold most of the time. */
const FULL = process.env.XDPCTL_TEST_FULL !== undefined;
const DUMPS = 10_000;
const DUMP_MS = FULL ? Number.POSITIVE_INFINITY : 4000;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const DUMP_TIMEOUT = FULL ? 1_200_000 : 60_000;

let namespace: TestNamespace;
let route: RouteSocket;
let loop: Loop;
beforeEach(() => {
  namespace = new TestNamespace("s");
  route = namespace.run(() => openRoute());
  loop = new Loop();
});
afterEach(() => {
  loop.close();
  route.close();
  namespace.close();
});

const pairs = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    requests.veth({ name: `l${i}`, index: 1000 + 2 * i }, { name: `r${i}`, index: 1001 + 2 * i }),
  );

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("an overrun while the process is busy", () => {
  it("200 links: it is told, each link is told of once, and what comes later is heard", async () => {
    const events: (LinkEvent | LostEvent)[] = [];
    const monitor = namespace.run(
      () => new LinkMonitor(loop, (event) => events.push(event), { receiveBuffer: ORDINARY_BUFFER }),
    );
    try {
      // Nothing is read meanwhile: this is one synchronous call.
      route.execute(pairs(PAIRS));
      await until("all links", () => monitor.links.length === 2 * PAIRS + 1);
      expect(events.filter((event) => event.type === "lost")).toMatchObject([{ where: "netlink", name: "links" }]);
      const made = events.filter((event): event is LinkEvent => event.type === "link" && event.action === "new");
      expect(made).toHaveLength(2 * PAIRS);
      expect(new Set(made.map((event) => event.ifindex)).size).toBe(2 * PAIRS);
      expect(monitor.links).toEqual(route.links());
      route.setLink(1000, { up: true });
      route.addBridge({ name: "late" });
      await until("the late bridge", () => monitor.links.some((link) => link.name === "late"));
      expect(events.filter((event) => event.type === "lost")).toHaveLength(1);
      expect(monitor.links.find((link) => link.index === 1000)?.up).toBe(true);
    } finally {
      monitor.close();
    }
  });

  it("200 links: none is lost with the buffer that we ask for", async () => {
    const events: (LinkEvent | LostEvent)[] = [];
    const monitor = namespace.run(() => new LinkMonitor(loop, (event) => events.push(event)));
    try {
      route.execute(pairs(PAIRS));
      await until("all links", () => monitor.links.length === 2 * PAIRS + 1);
      expect(events.filter((event) => event.type === "lost")).toEqual([]);
    } finally {
      monitor.close();
    }
  });

  it("generic netlink: it is told, and the group is heard further on", async () => {
    route.execute(pairs(1));
    let [heard, lost] = [0, 0];
    const ethtool = namespace.run(() => new EthtoolSocket());
    const monitor = namespace.run(() => {
      const socket = new GenericSocket();
      const family = socket.family("ethtool");
      socket.close();
      const handler = { message: () => heard++, lost: () => lost++ };
      return new GenericMonitor(loop, family, ["monitor"], handler, { receiveBuffer: ORDINARY_BUFFER });
    });
    try {
      const changes = 1000;
      for (let i = 0; i < changes; i++) ethtool.setFeatures([1000], { "rx-gro": i % 2 === 0 });
      await until("the loss", () => lost > 0 && heard > 0);
      expect(heard).toBeLessThan(changes);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = { heard, lost };
      for (let i = 0; i < 10; i++) ethtool.setFeatures([1000], { "rx-gro": i % 2 === 0 });
      await until("later changes", () => heard === before.heard + 10);
      expect(lost).toBe(before.lost);
    } finally {
      monitor.close();
      ethtool.close();
    }
  });
});

describe(`${FULL ? `${DUMPS} dumps` : "dumps of four seconds"} while links come and go`, () => {
  // So many that one dump is more than one datagram: only then can it be torn.
  const stable = 40;
  let churn: ChildProcess;

  beforeEach(async () => {
    route.execute(pairs(stable));
    const adds = Array.from({ length: 10 }, (_, i) => `link add c${i} group 7 type veth peer name d${i}`);
    const batch = `${adds.join("\\n")}\\nlink delete group 7\\n`;
    // A process group of its own, so that the shell and `ip` end together; and with this process, whatever ends it: the
    // lock that they take is the machine's. The pauses leave time for dumps.
    churn = namespace.spawn(
      ["sh", "-c", `while [ -d /proc/${process.pid} ] && printf '${batch}'; do sleep 0.1; done | ip -batch -`],
      {
        detached: true,
        stdio: "ignore",
      },
    );
    await until("the first links that come", () => route.links().length > 2 * stable + 1);
  });
  afterEach(async () => {
    const ended = once(churn, "close");
    if (churn.pid !== undefined) process.kill(-churn.pid, "SIGKILL");
    await ended;
  });

  /** What was wrong with the dumps, and how often one had other links than that before it. */
  function look(indices: () => number[]): { wrong: string[]; changes: number } {
    const wrong: string[] = [];
    let [changes, before] = [0, -1];
    const end = performance.now() + DUMP_MS;
    // Dumps take the lock that the changes wait for: there are pauses, and at least some of both are wanted.
    const latest = end + 30_000;
    const goesOn = (): boolean => performance.now() < (changes > 5 ? end : latest);
    for (let n = 0; (n < DUMPS || changes <= 5) && wrong.length < 10 && goesOn(); n++) {
      const found = indices();
      const unique = new Set(found);
      if (unique.size !== found.length) wrong.push(`dump ${n}: ${found.length - unique.size} twice`);
      const missing = Array.from({ length: 2 * stable }, (_, i) => 1000 + i).filter((index) => !unique.has(index));
      if (missing.length > 0 || !unique.has(1)) wrong.push(`dump ${n}: without ${missing.join(" ")}`);
      if (n % 20 === 0 || n >= DUMPS) Atomics.wait(PAUSE, 0, 0, 10);
      if (found.length !== before) changes++;
      before = found.length;
    }
    return { wrong, changes };
  }

  it("rtnetlink: none wrong", { timeout: DUMP_TIMEOUT }, () => {
    const { wrong, changes } = look(() => route.links().map((link) => link.index));
    expect(wrong).toEqual([]);
    expect(changes).toBeGreaterThan(5);
  });

  it("generic netlink: none wrong", { timeout: DUMP_TIMEOUT }, () => {
    const socket = namespace.run(() => new GenericSocket());
    try {
      const family = socket.family("netdev");
      const { wrong, changes } = look(() => {
        const found: number[] = [];
        socket.dump(
          family,
          1,
          [],
          ({ attributes }) => found.push(attributes.find(({ type }) => type === 1)?.data.readUInt32LE(0) ?? 0),
          () => found.splice(0),
        );
        return found;
      });
      expect(wrong).toEqual([]);
      expect(changes).toBeGreaterThan(5);
    } finally {
      socket.close();
    }
  });
});
