// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import { summarise } from "../../src/bpf/index.js";

test("an unchecked read of the packet, with its source line", () => {
  const log = `0: R1=ctx(off=0,imm=0) R10=fp0
; struct ethhdr *eth = (void *)(long)ctx->data; @ filter.bpf.c:30
0: (61) r1 = *(u32 *)(r1 +0)          ; R1_w=pkt(off=0,r=0,imm=0)
; if (eth->h_proto == bpf_htons(ETH_P_IP)) @ filter.bpf.c:31
1: (71) r2 = *(u8 *)(r1 +13)
invalid access to packet, off=13 size=1, R1(id=0,off=13,r=0)
R1 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;
  expect(summarise(log)).toEqual({
    source: "filter.bpf.c:31  if (eth->h_proto == bpf_htons(ETH_P_IP))",
    reason: "reads 1 bytes at offset 13 of the packet, but only 0 bytes were checked against data_end",
    hint: expect.stringContaining("data_end"),
  });
});

test("an older log without line numbers keeps its source", () => {
  const log = `; return *v;
7: (61) r0 = *(u32 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0`;
  expect(summarise(log)).toMatchObject({ source: "return *v;", reason: expect.stringContaining("may be NULL") });
});

test("what is not known is passed on as the kernel said it", () => {
  const log = "0: (85) call bpf_foo#999\nsome new complaint\nprocessed 1 insns (limit 1000000)";
  expect(summarise(log)).toEqual({ reason: "some new complaint" });
});

test("the form of Linux 7.3", () => {
  const log = `Verification failed: packet access out of bounds
  Reason: the program reads 2 bytes past the checked range
  At: filter.bpf.c:31 (insn 4)
  Causal path: 0 -> 3 -> 4
  Suggestion: compare against data_end before reading
`;
  expect(summarise(log)).toEqual({
    reason: "the program reads 2 bytes past the checked range",
    source: "filter.bpf.c:31 (insn 4)",
    hint: "compare against data_end before reading",
  });
});

test("an empty log does not crash", () => {
  expect(summarise("").reason).not.toBe("");
});
