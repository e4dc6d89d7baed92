// SPDX-License-Identifier: MIT

/** How an error ends a command: the classes and their exit codes are the same for ever. */
export const EXIT_CODES = {
  internal: 1,
  usage: 2,
  permission: 3,
  kernel: 4,
  "not-found": 5,
  conflict: 6,
  input: 7,
  limit: 8,
} as const;

export type ErrorClass = keyof typeof EXIT_CODES;

interface CodeEntry {
  readonly class: ErrorClass;
  /** The exit code where it is not that of its class: the commands of a guest have all the small ones. */
  readonly exit?: number;
  /** What the user can do about it, when the raiser gives nothing more exact. */
  readonly remedy: string;
}

/** Every code that xdpctl raises. A code keeps its name and its class for ever. */
export const CODES = {
  XDPCTL_E_INTERNAL: { class: "internal", remedy: "this is a bug in xdpctl: please report it with the text above" },
  XDPCTL_E_USAGE: { class: "usage", remedy: "see `xdpctl --help`" },
  XDPCTL_E_PERMISSION: { class: "permission", remedy: "run it as root, or with the capability it names" },
  XDPCTL_E_SYSCALL: { class: "kernel", remedy: "the kernel's reason is in the message" },
  XDPCTL_E_NOT_SUPPORTED: { class: "kernel", remedy: "this kernel or library lacks what it names" },
  XDPCTL_E_LIBRARY: { class: "not-found", remedy: "install the Debian package libbpf1" },

  XDPCTL_E_NO_INTERFACE: { class: "not-found", remedy: "`xdpctl status` lists the interfaces of this namespace" },
  XDPCTL_E_INTERFACE_EXISTS: { class: "conflict", remedy: "choose another name, or delete the old link" },
  XDPCTL_E_BAD_NAME: { class: "usage", remedy: "names have 1 to 15 visible characters, without `/`" },

  XDPCTL_E_NO_OBJECT: {
    class: "not-found",
    remedy: "name a built-in program (pass, drop, guard) or the path of a .bpf.o file",
  },
  XDPCTL_E_BAD_OBJECT: {
    class: "input",
    remedy: "build it with `clang -target bpf -g -O2 -I/usr/include/$(uname -m)-linux-gnu -c`",
  },
  XDPCTL_E_NO_PROGRAM: { class: "not-found", remedy: "`--program NAME` picks one of the object's programs" },
  XDPCTL_E_VERIFIER: { class: "kernel", remedy: "`--verifier-log -` prints the whole log" },
  XDPCTL_E_LOAD: { class: "kernel", remedy: "the kernel's reason is in the message" },
  XDPCTL_E_NO_BTF: { class: "input", remedy: "compile the object with -g so that it carries BTF" },

  XDPCTL_E_VM_TOOL: { class: "not-found", remedy: "install what it names" },
  XDPCTL_E_VM_SETUP: { class: "kernel", exit: 125, remedy: "the reason is in the message" },
  XDPCTL_E_VM_PANIC: { class: "kernel", exit: 120, remedy: "the console's last lines say where" },
  XDPCTL_E_VM_HANG: {
    class: "kernel",
    exit: 121,
    remedy: "`--console` shows what it says while it boots; `--accel tcg` where KVM may be at fault",
  },
  XDPCTL_E_VM_DIED: { class: "kernel", exit: 122, remedy: "the console's last lines, and QEMU's, are above" },
  XDPCTL_E_VM_NO_STATUS: { class: "kernel", exit: 123, remedy: "the command's end is unknown: run it again" },
  XDPCTL_E_VM_TIMEOUT: { class: "limit", exit: 124, remedy: "`--timeout` gives it more time" },
  XDPCTL_E_NO_MODULE: { class: "not-found", remedy: "modinfo lists a kernel's modules; `--kernel` chooses another" },

  XDPCTL_E_NO_MAP: { class: "not-found", remedy: "`xdpctl map ls` lists the maps" },
  XDPCTL_E_NO_KEY: { class: "not-found", remedy: "`xdpctl map dump NAME` lists the entries" },
  XDPCTL_E_KEY_EXISTS: { class: "conflict", remedy: "delete the entry first, or write without `--create`" },
  XDPCTL_E_MAP_FULL: { class: "limit", remedy: "delete entries, or load the program with a larger map" },
  XDPCTL_E_BAD_KEY: { class: "usage", remedy: "`xdpctl map dump NAME` shows the shape of a key" },
  XDPCTL_E_BAD_VALUE: { class: "usage", remedy: "`xdpctl map dump NAME` shows the shape of a value" },

  XDPCTL_E_ATTACH: { class: "kernel", remedy: "the kernel's reason is in the message" },
  XDPCTL_E_MODE: { class: "kernel", remedy: "`--mode auto` falls back to generic, and says so" },
  XDPCTL_E_OCCUPIED: { class: "conflict", remedy: "`--force` replaces the other program" },
  XDPCTL_E_NOT_ATTACHED: { class: "not-found", remedy: "`xdpctl status` shows what is attached" },
  XDPCTL_E_INTERFACE_GONE: { class: "not-found", remedy: "the interface was removed while the program was attached" },
  XDPCTL_E_BPFFS: { class: "kernel", remedy: "mount it: mount -t bpf bpf /sys/fs/bpf" },
  XDPCTL_E_LAYOUT: { class: "conflict", remedy: "unload the old program first: its maps have another layout" },

  XDPCTL_E_NO_FAMILY: { class: "not-found", remedy: "`xdpctl genl ls` lists the families; is the module loaded?" },
  XDPCTL_E_NETLINK: { class: "kernel", remedy: "the kernel's reason is in the message" },

  XDPCTL_E_CONTROLLER_RUNS: { class: "conflict", remedy: "use that controller, or end it first" },
  XDPCTL_E_NO_CONTROLLER: { class: "not-found", remedy: "start one: `xdpctl run guard IF`, or the REPL" },
  XDPCTL_E_RPC: { class: "internal", remedy: "the controller and this command may be of different versions" },
  XDPCTL_E_DISCONNECTED: { class: "kernel", remedy: "the controller ended" },

  XDPCTL_E_LUA_SYNTAX: { class: "input", remedy: "`xdpctl policy check FILE` shows it without root" },
  XDPCTL_E_LUA_RUNTIME: { class: "input", remedy: "the script's line is in the message" },
  XDPCTL_E_LUA_TIMEOUT: { class: "limit", remedy: "a hook may run 100 ms; do less in it" },
  XDPCTL_E_LUA_MEMORY: { class: "limit", remedy: "a policy may hold 64 MiB; keep less" },
  XDPCTL_E_NO_POLICY: { class: "not-found", remedy: "`xdpctl policy ls` lists the policies" },
  XDPCTL_E_POLICY_EXISTS: {
    class: "conflict",
    remedy: "`xdpctl policy load` again replaces it; another needs `--name`",
  },

  XDPCTL_E_LAB_FILE: {
    class: "input",
    remedy: "`xdpctl lab validate FILE` checks it; schema/lab.schema.json describes it",
  },
  XDPCTL_E_NO_LAB: { class: "not-found", remedy: "`xdpctl lab ls` lists the labs" },
  XDPCTL_E_NO_NODE: { class: "not-found", remedy: "`xdpctl lab inspect` lists the machines" },
  XDPCTL_E_LAB_CONFLICT: {
    class: "conflict",
    remedy: "`--name` deploys a second lab; `xdpctl lab gc` removes remains",
  },
  XDPCTL_E_LAB_DEPLOY: { class: "kernel", remedy: "what was made is taken down again; the reason is in the message" },
  XDPCTL_E_NO_ENGINE: {
    class: "not-found",
    remedy: "as root: apt-get install --no-install-recommends podman runc",
  },
  XDPCTL_E_NO_IMAGE: { class: "not-found", remedy: "`scripts/build-image` builds the images of labs/" },
  XDPCTL_E_ENGINE: { class: "kernel", remedy: "the engine's reason is in the message" },
  XDPCTL_E_NOT_READY: {
    class: "limit",
    remedy: "`ready.within` gives it more time",
  },

  XDPCTL_E_NO_KERNEL: { class: "not-found", remedy: "`xdpctl vm kernels` lists what is cached and available" },
  XDPCTL_E_BAD_MODULE: {
    class: "input",
    remedy: "build it for that kernel (modinfo shows its vermagic), or boot the kernel that it is for",
  },
  XDPCTL_E_BAD_KERNEL: { class: "input", remedy: "name a vmlinux or a bzImage for x86-64" },
  XDPCTL_E_DOWNLOAD: { class: "not-found", remedy: "does `apt-get update` work here? Cached kernels need no network" },
  XDPCTL_E_CACHE: { class: "limit", remedy: "make room, or set XDPCTL_CACHE; `xdpctl vm kernels rm` removes kernels" },
  XDPCTL_E_TOOL: { class: "kernel", remedy: "what the tool said is in the message" },
  XDPCTL_E_INTERRUPTED: { class: "limit", remedy: "run it again: what was fetched is kept" },

  XDPCTL_E_XSK: { class: "kernel", remedy: "the kernel's reason is in the message" },
  XDPCTL_E_XSK_SIZE: { class: "usage", remedy: "ring sizes are powers of two; frames have 2048 or 4096 bytes" },
  XDPCTL_E_NO_QUEUE: { class: "not-found", remedy: "`ethtool -l IF` shows how many queues it has" },
  XDPCTL_E_QUEUE_BUSY: { class: "conflict", remedy: "end the other program, or take another queue" },
  XDPCTL_E_INTERFACE_DOWN: { class: "kernel", remedy: "set it up: ip link set dev IF up" },
  XDPCTL_E_ZERO_COPY: { class: "kernel", remedy: 'copy: "auto" takes zero copy where the driver has it' },
  XDPCTL_E_MEMLOCK: { class: "limit", remedy: "`ulimit -l` shows the limit: raise it, or take fewer frames" },
  XDPCTL_E_HANDOVER: {
    class: "input",
    remedy: "start it by `xdpctl xsk open IF -- COMMAND`, which hands a socket over",
  },
  XDPCTL_E_NO_PATH: { class: "not-found", remedy: "`--mac` names the next hop's MAC address" },
  XDPCTL_E_NO_ANSWER: {
    class: "not-found",
    remedy: "is the other side there? `xdpctl xsk latency IF --listen PORT` answers",
  },
  XDPCTL_E_HANDLER: { class: "input", remedy: "the handler's place is in the message: mend it there" },
  XDPCTL_E_FRAME: { class: "usage", remedy: "the message says what was done to which frame" },

  XDPCTL_E_NO_FILE: { class: "not-found", remedy: "check the path" },
  XDPCTL_E_TIMEOUT: { class: "limit", remedy: "the message says what it waited for" },
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof CODES;
