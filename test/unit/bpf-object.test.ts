// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Btf, Codecs, builtinPath, readObjectSpec } from "../../src/bpf/index.js";
import { XdpctlError } from "../../src/errors/index.js";

const bytes = readFileSync(builtinPath("guard"));

function failure(body: () => unknown): XdpctlError {
  try {
    body();
  } catch (error) {
    if (XdpctlError.is(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

test("a spec names programs and maps without asking the kernel", () => {
  const spec = readObjectSpec(builtinPath("guard"));
  expect(spec.programs).toEqual([{ name: "guard", section: "xdp.frags" }]);
  expect(spec.maps).toEqual(expect.arrayContaining(["stats", "events", "flows", "deny_v4", "limit_v6"]));
});

test("what is no object says what it is", () => {
  expect(failure(() => readObjectSpec(Buffer.from("#!/bin/sh\n"), "x.o"))).toMatchObject({
    code: "XDPCTL_E_BAD_OBJECT",
    message: "x.o is not an ELF file",
  });
  expect(failure(() => readObjectSpec("/bin/true")).message).toMatch(/not for BPF/);
  expect(failure(() => readObjectSpec("/no/such.bpf.o")).code).toBe("XDPCTL_E_NO_OBJECT");
});

test("every truncation is refused, none crashes", () => {
  for (let length = 0; length < bytes.length - 1; length += 97) {
    expect(failure(() => readObjectSpec(bytes.subarray(0, length), "cut.o")).code).toBe("XDPCTL_E_BAD_OBJECT");
  }
});

test("3,000 damaged objects are read or refused, never worse", () => {
  let state = 42;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < 3000; i++) {
    const damaged = Buffer.from(bytes);
    for (let j = 0; j < 8; j++) damaged[random(damaged.length)] = random(256);
    try {
      const spec = readObjectSpec(damaged, "damaged.o");
      if (spec.btf !== undefined) {
        const codecs = new Codecs(spec.btf);
        for (const type of spec.btf.types) if (type.kind === "struct") codecs.ofType(type);
      }
    } catch (error) {
      expect(XdpctlError.is(error, "XDPCTL_E_BAD_OBJECT"), String(error)).toBe(true);
    }
  }
});

const btf = readObjectSpec(builtinPath("guard")).btf as Btf;
const codecs = new Codecs(btf);

function roundTrip(name: string, value: unknown): { bytes: Buffer; back: unknown } {
  const type = btf.find("struct", name);
  if (type === undefined) throw new Error(`no struct ${name}`);
  const codec = codecs.ofType(type);
  const out = Buffer.alloc(codec.size);
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  codec.encode(view, 0, value);
  return { bytes: out, back: codec.decode(view, 0) };
}

test("keys are written as people write them and laid out as C has them", () => {
  const key = roundTrip("lpm_v4_key", { addr: "10.0.0.1", prefixLen: 32 });
  expect(key.bytes.toString("hex")).toBe("200000000a000001");
  expect(key.back).toEqual({ addr: "10.0.0.1", prefixLen: 32 });
  const port = roundTrip("port_key", { port: 22, proto: 6 });
  expect(port.bytes.toString("hex")).toBe("00160600");
  const flow = roundTrip("flow_key", { src: "192.0.2.1", dst: "2001:db8::1", sport: 1, dport: 65535, proto: 17 });
  expect(flow.bytes.subarray(0, 16).toString("hex")).toBe("00000000000000000000ffffc0000201");
  expect(flow.back).toEqual({ src: "192.0.2.1", dst: "2001:db8::1", sport: 1, dport: 65535, proto: 17 });
});

test("64-bit integers are exact, names are camelCase or C's own, padding is zero", () => {
  const rule = roundTrip("rule", { expires_ns: 2n ** 64n - 1n, hits: 3, owner: "portscan" });
  expect(rule.back).toMatchObject({ expiresNs: 2n ** 64n - 1n, hits: 3n, owner: "portscan" });
});

test.each([
  ["lpm_v4_key", { addr: "10.0.0.300", prefixLen: 8 }, /addr: __be32 takes an IPv4 address, not "10.0.0.300"/],
  ["lpm_v4_key", { addr: "10.0.0.1", prefixLen: -1 }, /prefixLen: .* takes 0 to 4294967295, not -1/],
  ["lpm_v4_key", { adr: "10.0.0.1" }, /struct lpm_v4_key has no field adr; it has prefixLen, addr/],
  ["lpm_v4_key", "10.0.0.1", /struct lpm_v4_key takes \{ prefixLen, addr \}/],
  ["port_key", { port: 65536, proto: 6 }, /port: __be16 takes 0 to 65535, not 65536/],
  ["rule", { owner: "a name that is far too long" }, /owner: char\[\d+\] takes up to \d+ bytes, not 27/],
  ["flow_key", { src: 5 }, /src: struct in6_addr takes an IPv6 address, not 5/],
])("a value that does not fit %s is refused by name", (name, value, message) => {
  expect(() => roundTrip(name, value)).toThrow(message);
});
