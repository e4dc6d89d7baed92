// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { parsePackages, parseUris, trustOf } from "../../src/vm/apt-text.js";
import { glibcNeeded } from "../../src/vm/glibc.js";
import { compareVersions, matches, parseKernelSpec } from "../../src/vm/spec.js";

describe("the name of a kernel", () => {
  it.each([
    ["host", { kind: "host" }],
    ["debian:trixie-backports", { kind: "debian", suite: "trixie-backports", flavour: "cloud-amd64" }],
    ["debian:bookworm:amd64", { kind: "debian", suite: "bookworm", flavour: "amd64" }],
    ["debian:sid:rt", { kind: "debian", suite: "sid", flavour: "rt-amd64" }],
    ["6.12", { kind: "version", version: "6.12" }],
    ["6.12.95+deb12-cloud-amd64", { kind: "version", version: "6.12.95+deb12-cloud-amd64" }],
    ["6.1.0-56-amd64", { kind: "version", version: "6.1.0-56-amd64" }],
    ["./6.12", { kind: "path", path: "./6.12" }],
    ["/boot/vmlinuz", { kind: "path", path: "/boot/vmlinuz" }],
    ["bzImage", { kind: "path", path: "bzImage" }],
    [".", { kind: "path", path: "." }],
  ])("%s", (text, spec) => expect(parseKernelSpec(text)).toEqual(spec));

  it.each(["", "7", "linux", "debian:", "debian:../x", "debian:a:b:c", "6.12/../x\0", "6.12; rm"])(
    "%j is none",
    (text) => {
      expect(() => parseKernelSpec(text)).toThrow(expect.objectContaining({ code: "XDPCTL_E_USAGE" }));
    },
  );

  it("asks for a series, an upstream version or one kernel", () => {
    expect(matches("6.1", "6.1.0-56-cloud-amd64")).toBe(true);
    expect(matches("6.1", "6.12.95+deb12-cloud-amd64")).toBe(false);
    expect(matches("6.12.9", "6.12.95+deb12-cloud-amd64")).toBe(false);
    expect(matches("6.12.95", "6.12.95+deb12-cloud-amd64")).toBe(true);
    expect(matches("6.1.192", "6.1.0-56-cloud-amd64", "6.1.192-2")).toBe(true);
  });

  it("is newer by numbers, as Debian has it", () => {
    const sorted = ["6.1.9-1", "6.1.10~rc1-1", "6.1.10-1~bpo12+1", "6.1.10-1", "6.1.10-1+b1", "6.12.1-1", "7.2.9-1"];
    expect([...sorted].reverse().sort(compareVersions)).toEqual(sorted);
  });
});

describe("what apt says", () => {
  it("names its sources, and whom they trust", () => {
    const told = [
      "'http://a/debian/dists/bookworm/InRelease' a_debian_dists_bookworm_InRelease 0 ",
      "'http://a/debian-security/dists/bookworm/updates/InRelease' a_x 0 ",
      "'http://a/debian/dists/bookworm/main/binary-amd64/Packages.xz' a_y 0 ",
    ].join("\n");
    expect(parseUris(told)).toEqual([
      { uri: "http://a/debian", suite: "bookworm" },
      { uri: "http://a/debian-security", suite: "bookworm/updates" },
    ]);
    const sources =
      "Types: deb\n# a remark\nURIs: http://b/debian\n\nURIs: http://a/debian\nSigned-By: /k/a.gpg\n /k/b.gpg\n";
    expect(trustOf("d.sources", sources, "http://a/debian/")).toEqual({
      signedBy: ["/k/a.gpg", "/k/b.gpg"],
      trusted: false,
    });
    const list =
      "# deb http://a/debian x\ndeb [arch=amd64 signed-by=/k/c.gpg trusted=yes] http://a/debian bookworm main\n";
    expect(trustOf("d.list", list, "http://a/debian/")).toEqual({ signedBy: ["/k/c.gpg"], trusted: true });
  });

  it("describes packages", () => {
    const told = [
      "Package: linux-image-7.2.12+deb13-cloud-amd64\nVersion: 7.2.12-1~bpo13+1\nSize: 1928",
      "Pre-Depends: linux-base (>= 4.17~)\nDepends: dracut | initramfs-tools (>= 0.1), linux-modules-x (= 7),\n kmod",
    ].join("\n");
    expect(parsePackages(`${told}\n\nPackage: no-version\n\n`)).toEqual([
      {
        name: "linux-image-7.2.12+deb13-cloud-amd64",
        version: "7.2.12-1~bpo13+1",
        size: 1928,
        depends: ["linux-base", "dracut", "linux-modules-x", "kmod"],
      },
    ]);
  });

  it("leaves to the file which C library a tool needs", () => {
    expect(glibcNeeded(Buffer.from("\x7fELF\0GLIBC_2.4\0GLIBC_2.38\0GLIBC_2.34\0"))).toBe("2.38");
    expect(glibcNeeded(Buffer.from("static"))).toBeUndefined();
  });
});
