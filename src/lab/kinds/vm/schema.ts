// SPDX-License-Identifier: MIT

/** Settings that only machines of the kind `vm` have. */
export const VM_PROPERTIES = {
  kernel: {
    anyOf: [{ type: "string" }, { type: "number" }],
    description: "As `vm run --kernel` takes it: 7.2 (the default), 6.12, 6.1, a file, `host`, `debian:SUITE`.",
  },
  root: {
    type: "string",
    pattern: "^[^\\0]+$",
    description:
      "A folder with a root of its own (scripts/build-rootfs), relative to this file; by default it has this machine's files.",
  },
  memory: {
    type: "string",
    pattern: "^[1-9][0-9]{0,6}[MG]$",
    patternErrorMessage: "memory is written as 512M or 2G",
    description: "1G by default.",
  },
  cpus: { type: "integer", minimum: 1, maximum: 64, description: "Processors; 2 by default." },
  zerocopy: {
    type: "boolean",
    description: "Its NICs give AF_XDP sockets their frames without a copy, where its kernel can: Linux 6.11.",
  },
  lab: {
    type: "boolean",
    description: "Its root may run `lab` commands on this machine, which is to say: as root of this machine.",
  },
  modules: {
    type: "array",
    items: {
      type: "string",
      pattern: "^(kmod:[A-Za-z0-9_-]+|(?!kmod:)[^\\u0000-\\u001f\\u007f]+)$",
      patternErrorMessage: "a module is `name`, `./file.ko`, or `kmod:name`",
    },
    description:
      "Loaded at once: modules of its kernel by name, files (`./echo.ko`, relative to this file), and those of xdpctl's own kmod/ (`kmod:genl-echo`) where scripts/build-kmod has built them.",
  },
} as const;
