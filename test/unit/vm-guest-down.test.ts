// SPDX-License-Identifier: MIT
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { downError } from "../../src/lab/down.js";
import { guestFilesIn, type GuestRecord } from "../../src/lab/kinds/vm/files.js";
import { inspectRecord } from "../../src/lab/kinds/vm/inspect.js";
import { guestEnd, guestTrouble } from "../../src/lab/kinds/vm/launch.js";
import { processMark } from "../../src/lab/state.js";
import { withFolder } from "../../src/vm/steps.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-down-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe("a guest that can't be used", () => {
  const record = (text: GuestRecord) => writeFileSync(join(dir, "vm.json"), JSON.stringify(text));
  const alive = () => processMark(process.pid);
  const trouble = () => guestTrouble(guestFilesIn(dir), alive(), "xdpctl lab gdb a");

  it("has the error that its supervisor wrote, with its exit status and lines", () => {
    const error = new XdpctlError("XDPCTL_E_VM_PANIC", "the guest's kernel gave up: why", { lines: ["console: last"] });
    record({ phase: "ended", error: error.toJSON() });
    const down = downError("the machine a of the lab one", trouble() as XdpctlError, "deploy it");
    expect(down.toJSON()).toEqual({
      code: "XDPCTL_E_VM_PANIC",
      message: "the machine a of the lab one is down: the guest's kernel gave up: why",
      remedy: "deploy it",
      lines: ["console: last"],
    });
    expect(down.exitCode).toBe(120);
  });

  it("hangs, and gdb shows where, or is on its way", () => {
    record({ phase: "ready", hang: "nothing was heard of it" });
    const down = downError("a", trouble() as XdpctlError, "deploy it");
    expect(down).toMatchObject({ exitCode: 121, remedy: "`xdpctl lab gdb a` shows where it is; deploy it" });
    record({ phase: "booting" });
    expect(trouble()).toMatchObject({ code: "XDPCTL_E_NO_NODE", message: "its guest is booting" });
    record({ phase: "ready" });
    expect(trouble()).toBe(undefined);
  });

  it("has its last words where its supervisor was killed and wrote nothing", () => {
    record({ phase: "ready", kernel: "7.2" });
    writeFileSync(join(dir, "console.log"), "boots\r\n\x1b[?2004hroot@a:~# ");
    writeFileSync(join(dir, "supervisor.log"), "out of memory\n");
    const end = guestEnd(guestFilesIn(dir), undefined);
    const lines = ["supervisor: out of memory", "console: boots", "console: root@a:~#"];
    expect(end).toMatchObject({ code: "XDPCTL_E_VM_DIED", lines });
    expect(inspectRecord(guestFilesIn(dir), end)).toMatchObject({
      phase: "ended",
      error: "its guest is gone, and its supervisor with it",
      lines,
    });
  });
});

it("a folder in a guest gets one more by a mount of each thing in it", () => {
  mkdirSync(join(dir, "inside"));
  writeFileSync(join(dir, "file"), "");
  symlinkSync("inside", join(dir, "link"));
  const steps = withFolder(dir, "modules", "/lower", "/root");
  const words = steps.map((step) => step.slice(0, 3).join(" "));
  expect(words[0]).toBe("mount shadow /root");
  expect(words.slice(1, -2).sort()).toEqual([
    "mkdir /root/inside",
    "mount /lower/file /root/file",
    "mount /lower/inside /root/inside",
    "symlink inside /root/link",
    "touch /root/file",
  ]);
  // Nobody writes there afterwards.
  expect(words.slice(-2)).toEqual(["mkdir /root/modules", "mount none /root"]);
});
