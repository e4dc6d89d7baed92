// SPDX-License-Identifier: MIT

/** Which rooms of src/ a room may import. CONTRIBUTING.md explains the rooms; this table is what holds. */
const ROOMS = {
  errors: [],
  events: [],
  linux: ["errors"],
  loop: ["errors", "linux"],
  packet: ["errors"],
  bpf: ["errors", "linux", "loop"],
  netlink: ["errors", "events", "linux", "loop"],
  xdp: ["errors", "events", "linux", "bpf", "netlink"],
  capture: ["errors", "events", "linux", "loop", "packet", "bpf", "xdp"],
  xsk: ["errors", "linux", "loop", "packet", "bpf", "netlink", "xdp"],
  ipsec: ["errors", "linux", "packet", "netlink", "xsk"],
  policy: ["errors", "events", "linux", "bpf", "packet"],
  rpc: ["errors", "events", "linux", "loop"],
  control: [
    ...["errors", "events", "linux", "loop", "packet", "bpf", "netlink", "xdp", "capture", "xsk", "ipsec"],
    ...["policy", "rpc"],
  ],
  vm: ["errors", "events", "linux", "loop", "netlink"],
  lab: ["errors", "events", "linux", "loop", "packet", "bpf", "netlink", "xdp", "capture", "vm"],
};
ROOMS.cli = Object.keys(ROOMS);

/** Packages that one room alone knows. Their types may be named elsewhere. */
const PACKAGES = { koffi: "linux", netlink: "netlink", fengari: "policy", yaml: "lab", commander: "cli" };

const roomRules = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room-${room}`,
  comment: `src/${room} may import ${allowed.length === 0 ? "no other room" : allowed.join(", ")}`,
  severity: "error",
  from: { path: `^src/${room}/` },
  to: { path: "^src/", pathNot: `^src/(${[room, ...allowed].join("|")})/` },
}));

const packageRules = Object.entries(PACKAGES).map(([name, room]) => ({
  name: `only-${room}-knows-${name}`,
  comment: `src/${room} wraps the package ${name}`,
  severity: "error",
  from: { path: "^src/", pathNot: `^src/${room}/` },
  to: { path: `^node_modules/${name}/`, dependencyTypesNot: ["type-only"] },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...roomRules,
    ...packageRules,
    {
      name: "a-room-of-the-table",
      comment: "every folder of src/ is a room with a row in the table above",
      severity: "error",
      from: { path: "^src/[^/]+/", pathNot: `^src/(${Object.keys(ROOMS).join("|")})/` },
      to: {},
    },
    {
      name: "through-the-door",
      comment: "another room is imported through its index.ts",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: { path: "^src/[^/]+/.+", pathNot: "^src/($1/.+|[^/]+/index\\.ts$)" },
    },
    {
      name: "library-without-lua-yaml-cli",
      comment: "importing the library loads no Lua, YAML or CLI",
      severity: "error",
      from: { path: "^src/index\\.ts$" },
      to: { path: "^src/(cli|control|lab|policy|vm)/" },
    },
    {
      name: "no-circles",
      comment: "no module may need itself to be loaded",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only", "dynamic-import"] } },
    },
    {
      name: "resolves",
      comment: "the import leads nowhere",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  },
};
