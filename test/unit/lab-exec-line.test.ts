// SPDX-License-Identifier: MIT
import { Command } from "commander";
import { describe, expect, it, vi } from "vitest";
import { registerExec } from "../../src/cli/lab/exec.js";
import { parseExec } from "../../src/cli/lab/exec-main.js";

const { ran } = vi.hoisted(() => ({ ran: [] as unknown[] }));

vi.mock("../../src/lab/index.js", () => ({
  isReachable: () => true,
  list: () => [],
  openLab: (lab: string) => ({
    replace: (node: string, argv: string[]) => {
      ran.push({ lab, node, argv });
      return { code: 0 };
    },
  }),
  quickExec: () => undefined,
}));

/** What the whole program makes of a line. */
async function whole(words: readonly string[]): Promise<unknown> {
  ran.length = 0;
  const program = new Command().enablePositionalOptions();
  const lab = program.command("lab").enablePositionalOptions();
  registerExec(lab);
  for (const command of [program, lab, ...lab.commands]) command.exitOverride().configureOutput({ writeErr: () => {} });
  await program.parseAsync(["lab", "exec", ...words], { from: "user" });
  return ran[0];
}

describe("the line of `lab exec`, read by the script of its own as by the whole program", () => {
  const lines = [
    "--lab a xdp -- true",
    "-l a xdp true",
    "--lab=a xdp ls -l",
    "--lab a xdp -- ls --lab b",
    "--lab a --lab b xdp ls -- x",
    "--lab a xdp -- -- x",
    "--lab a xdp sh -c --help",
  ];
  for (const line of lines) {
    it(line, async () => {
      const words = line.split(" ");
      expect(parseExec(words)).toEqual(await whole(words));
    });
  }

  it("leaves to the whole program what is not plain", () => {
    for (const line of ["", "xdp", "xdp --", "--help", "-h xdp true", "--lab", "--lab= xdp true", "-la xdp true"])
      expect(parseExec(line.split(" ").filter(Boolean)), line).toBeUndefined();
    expect(parseExec(["xdp", "--help"])).toBeUndefined();
  });

  it("leaves the choice of the lab to others where none is named", () => {
    expect(parseExec(["xdp", "true"])).toEqual({ node: "xdp", argv: ["true"] });
  });
});
