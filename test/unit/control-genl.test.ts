// SPDX-License-Identifier: MIT
import { beforeEach, describe, expect, it } from "vitest";
import { GenericGroups, type GenericListener } from "../../src/control/generic-groups.js";
import { answerRequest } from "../../src/control/generic-requests.js";
import { XdpctlError } from "../../src/errors/index.js";
import { ECHO } from "../../src/netlink/index.js";
import { FakeFamilies, family } from "../fixtures/genl.js";

const EVENTS = { family: "ECHO", group: "events" };

let kernel: FakeFamilies;
let groups: GenericGroups;
let lost: string[];
beforeEach(() => {
  kernel = new FakeFamilies();
  lost = [];
  groups = new GenericGroups(kernel, (name) => lost.push(name));
});

class Listener implements GenericListener {
  readonly heard: string[] = [];
  readonly told: string[] = [];
  readonly news: GenericListener["news"] = (news) =>
    this.heard.push(news.type === "state" ? news.state : `message ${news.command}, ${news.payload.length} bytes`);
  readonly log = (text: string): void => void this.told.push(text);
}

describe("groups that policies listen to (with a stand-in for the kernel's modules)", () => {
  it("are heard from the start, or from when their family is there, and again when it comes back", () => {
    const one = new Listener();
    groups.listen(one, [EVENTS]);
    expect(one.told).toEqual(["there is no family ECHO: the hook waits for it"]);
    kernel.load("OTHER", ["events"]);
    kernel.load("ECHO", []);
    expect(one.heard).toEqual([]);
    kernel.load("ECHO", ["events"]);
    kernel.multicast("ECHO", "events", ECHO.encode({ seq: 1 }));
    kernel.unload("ECHO");
    kernel.multicast("ECHO", "events", ECHO.encode({ seq: 2 }));
    kernel.load("ECHO", ["events"]);
    kernel.multicast("ECHO", "events", ECHO.encode({ seq: 3 }));
    expect(one.heard).toEqual(["there", "message 2, 8 bytes", "gone", "there", "message 2, 8 bytes"]);
    expect(one.told.slice(1)).toEqual([
      "the family ECHO is there: the hook on events goes on",
      "the family ECHO is gone: the hook waits for it",
      "the family ECHO is there: the hook on events goes on",
    ]);
  });

  it("whose module was loaded anew while notifications were lost are heard again", () => {
    kernel.load("ECHO", ["events"]);
    const one = new Listener();
    groups.listen(one, [EVENTS]);
    expect(one.told).toEqual([]);
    kernel.unload("ECHO", false);
    kernel.load("ECHO", ["events"], false);
    kernel.overrun("nlctrl", "notify");
    kernel.multicast("ECHO", "events", ECHO.encode({ seq: 1 }));
    expect(lost).toEqual(["nlctrl/notify"]);
    expect(one.heard).toEqual(["lost", "message 2, 8 bytes"]);
  });

  it("are waited for after an overrun of nlctrl, too, where they are gone or came", () => {
    kernel.load("ECHO", ["events"]);
    const one = new Listener();
    groups.listen(one, [EVENTS, { family: "LATE", group: "events" }]);
    kernel.unload("ECHO", false);
    kernel.load("LATE", ["events"], false);
    kernel.overrun("nlctrl", "notify");
    expect(one.heard).toEqual(["gone", "there"]);
    kernel.load("ECHO", ["events"]);
    expect(one.heard).toEqual(["gone", "there", "there"]);
  });

  it("say which groups there are, and why one can't be joined", () => {
    kernel.load("ECHO", ["events", "other"]);
    const one = new Listener();
    groups.listen(one, [{ family: "ECHO", group: "event" }]);
    kernel.refuse = new XdpctlError("XDPCTL_E_PERMISSION", "joining group 7: operation not permitted (EPERM)");
    groups.listen(one, [EVENTS]);
    expect(one.told).toEqual([
      "the family ECHO has no group event (its groups: events, other): the hook waits for it",
      "ECHO/events can't be heard: joining group 7: operation not permitted (EPERM): the hook waits for it",
    ]);
  });

  it("are one socket for all who listen, and none when nobody does", () => {
    kernel.load("ECHO", ["events", "other"]);
    const [one, two] = [new Listener(), new Listener()];
    groups.listen(one, [EVENTS, EVENTS]);
    groups.listen(two, [EVENTS, { family: "ECHO", group: "other" }]);
    expect(kernel.heard).toBe(3);
    kernel.multicast("ECHO", "events", []);
    expect([one.heard.length, two.heard.length]).toEqual([1, 1]);
    groups.listen(one, []);
    kernel.multicast("ECHO", "events", []);
    expect([one.heard.length, two.heard.length]).toEqual([1, 2]);
    groups.listen(two, [{ family: "ECHO", group: "other" }]);
    expect(kernel.heard).toBe(2);
    groups.listen(two, []);
    expect(kernel.heard).toBe(0);
    groups.listen(two, [EVENTS]);
    groups[Symbol.dispose]();
    expect(kernel.heard).toBe(0);
  });

  it("tell of an overrun, and of a message that is too long", () => {
    kernel.load("ECHO", ["events"]);
    const one = new Listener();
    groups.listen(one, [EVENTS]);
    kernel.overrun("ECHO", "events");
    kernel.multicast(
      "ECHO",
      "events",
      [1, 2].map(() => ECHO.encode({ message: "x".repeat(40_000) })),
    );
    kernel.multicast("ECHO", "events", ECHO.encode({ seq: 1 }));
    expect(one.heard).toEqual(["lost", "lost", "message 2, 8 bytes"]);
    expect(lost).toEqual(["ECHO/events", "ECHO/events"]);
  });
});

describe("requests of policies", () => {
  const problem = (body: () => unknown): XdpctlError => {
    try {
      body();
    } catch (error) {
      if (XdpctlError.is(error)) return error;
      throw error;
    }
    throw new Error("it did not fail");
  };
  const call = (op: "call" | "dump", name: string, command: number) =>
    ({ op, family: name, command, body: new Uint8Array(0) }) as const;

  it("may read; what changes the system is for those who were allowed to", () => {
    const flags = [{ id: 3, flags: ["do", "namespace-admin"] }];
    kernel.find = (name) => (name === "X" ? family({ name, commands: flags }) : undefined);
    expect(answerRequest(kernel, call("call", "X", 1), [])).toMatchObject({ replies: [{ command: 1 }] });
    const refused = problem(() => answerRequest(kernel, call("call", "X", 3), ["Y"]));
    expect(refused).toMatchObject({ code: "XDPCTL_E_PERMISSION", remedy: "load the policy with `--genl X`" });
    for (const allowed of ["all", ["X"]] as const) {
      expect(answerRequest(kernel, call("call", "X", 3), allowed)).toMatchObject({ replies: [{ command: 3 }] });
    }
    expect(problem(() => answerRequest(kernel, call("call", "Z", 3), [])).code).toBe("XDPCTL_E_NO_FAMILY");
  });

  it("get no answer without an end", () => {
    kernel.load("ECHO", []);
    expect(problem(() => answerRequest(kernel, call("dump", "ECHO", 1), [])).message).toContain(
      "more than a script may get: 4096 messages and 1024 KiB",
    );
  });
});
