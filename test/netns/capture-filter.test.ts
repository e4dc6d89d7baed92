// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, expect, it } from "vitest";
import { BpfObject, type BpfProgram, builtinPath, loadInstructions } from "../../src/bpf/index.js";
import { Assembler, R } from "../../src/capture/classic/assembler.js";
import { FilterInterpreter } from "../../src/capture/classic/interpret.js";
import { translateFilter } from "../../src/capture/classic/translate.js";
import { compileFilter } from "../../src/capture/filter.js";
import { setProgram } from "../../src/capture/xdp/programs.js";
import { FILTERS, filterFrames } from "../fixtures/filters.js";

const [MATCH, MISMATCH] = [1, 2];
let object: BpfObject;
const answers: BpfProgram[] = [];

/** A program that answers with its number. */
function answer(value: number): BpfProgram {
  const asm = new Assembler();
  asm.set32(R.R0, value);
  asm.exit();
  const program = loadInstructions("answer", asm.finish(), { frags: true });
  answers.push(program);
  return program;
}

beforeAll(async () => {
  object = await BpfObject.load(builtinPath("capture"), { trusted: true, programs: ["capture", "capture_record"] });
  for (const step of [MATCH, MISMATCH]) setProgram(steps(), step, answer(step));
});
afterAll(() => {
  for (const one of answers) one.close();
  object.close();
});

const steps = (): NonNullable<BpfObject["maps"][string]> => object.maps.steps as never;

function inKernel(expression: string): BpfProgram {
  const note = object.maps.capture_note?.fd ?? -1;
  const exits = { steps: steps().fd, note, match: MATCH, mismatch: MISMATCH };
  return loadInstructions("filter", translateFilter(compileFilter(expression), exits), { frags: true });
}

it.each(FILTERS)("%s: the kernel finds the frames that the interpreter finds", (expression) => {
  const interpreter = new FilterInterpreter(compileFilter(expression));
  const frames = filterFrames(300);
  const wanted = frames.map((frame) => (interpreter.matches(frame, 0, frame.length) ? MATCH : MISMATCH));
  using program = inKernel(expression);
  const runner = program.runner();
  expect(frames.map((frame) => runner.run(frame))).toEqual(wanted);
});

it("looks into frames in several buffers, and at their whole length", () => {
  const frame = new Uint8Array(9000);
  frame[8000] = 0x7a;
  for (const [expression, found] of [
    ["ether[8000] = 0x7a", MATCH],
    ["ether[8000] = 0x7b", MISMATCH],
    ["ether[ether[8000] + 7878] = 0x7a", MATCH],
    ["ether[8998:4] = 0", MISMATCH],
    ["greater 9000", MATCH],
    ["greater 9001", MISMATCH],
  ] as const) {
    using program = inKernel(expression);
    expect(program.testRun(frame).retval, expression).toBe(found);
  }
});

it("takes a filter of 300 addresses", () => {
  const expression = Array.from({ length: 300 }, (_, i) => `host 10.1.${i >> 8}.${i & 255}`).join(" or ");
  using program = inKernel(expression);
  expect(program.testRun(new Uint8Array(64)).retval).toBe(MISMATCH);
});
