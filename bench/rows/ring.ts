// SPDX-License-Identifier: MIT
import { type BpfMap, BpfObject, type BpfProgram, RingBuffer } from "../../src/bpf/index.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, median } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote } from "../row.js";

/** Records of 64 bytes (72 with their header) that a ring of 4 MiB holds. */
const RECORDS = 58_254;

type Types = { programs: { fill: BpfProgram }; maps: { ring: BpfMap } };

/** Ring buffer drain: our reader in place beside ring_buffer__consume, on the same kind of full ring. */
export const ring: Benchmark = async ({ quick }) => {
  const drains = quick ? 10 : 50;
  const path = bpfObject("ring");
  const c = new LineProcess([cProgram("ring"), path, `${RECORDS}`]);
  const object = await BpfObject.load<Types>(path, { trusted: true });
  try {
    const program = object.programs.fill;
    const reader = new RingBuffer(object.maps.ring);
    const frame = new Uint8Array(64);
    const { view } = reader;
    let sum = 0;
    const handle = (offset: number): void => {
      sum = (sum + view.getUint32(offset, true)) | 0;
    };
    const drain = (): number => {
      program.testRun(frame, { repeat: RECORDS });
      const started = process.hrtime.bigint();
      const read = reader.consume(handle);
      const elapsed = Number(process.hrtime.bigint() - started);
      if (read !== RECORDS) throw new Error(`the ring held ${read} records instead of ${RECORDS}`);
      return elapsed / RECORDS;
    };
    for (let i = 0; i < 20; i++) drain();
    const figures = await alternate(
      () => median(Array.from({ length: drains }, drain)),
      async () => Number((await c.ask(`${drains}`)).split(" ")[0]),
      { legs: quick ? 3 : 9 },
    );
    reader.close();
    if (Number.isNaN(sum)) throw new Error("unreachable: the sum keeps the reads alive");
    const [ours, theirs] = [median(figures.ours), median(figures.theirs)];
    return [
      {
        what: "ring buffer drain, 64-byte records",
        xdpctl: `${ours.toFixed(1)} ns/record`,
        beside: `${theirs.toFixed(1)} ns (C libbpf)`,
        ratio: (theirs / ours).toFixed(2),
        wanted: "≥ 0.90 × C",
        ok: theirs / ours >= 0.9,
        note: legsNote(figures),
      },
    ];
  } finally {
    object.close();
    await c.close();
  }
};
