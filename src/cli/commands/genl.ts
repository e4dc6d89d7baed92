// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { GenericAttributeType, GenericFamily, GenericMessage, GenericSocket, Part } from "../../netlink/index.js";
import { group, leaf, usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseCount } from "../quantities.js";
import { layout, visible } from "../table.js";
import { echo } from "./genl-echo.js";

const TYPES = ["flag", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "string", "nul-string", "binary"] as const;

async function withSocket<T>(body: (socket: GenericSocket) => T): Promise<T> {
  const { GenericSocket } = await import("../../netlink/index.js");
  const socket = new GenericSocket();
  try {
    return body(socket);
  } finally {
    socket.close();
  }
}

function parseNumber(text: string, what: string): number {
  if (!/^\d{1,5}$/.test(text)) throw usage(`${JSON.stringify(text)} is no number of ${what}`);
  return Number(text);
}

/** Text where all of it can be shown, else undefined. */
function asText(data: Buffer): string | undefined {
  const text = data.toString("utf8").replace(/\0$/, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.length > 0 && !/[\u0000-\u0008\u000b-\u001f\u007f\ufffd]/.test(text) ? text : undefined;
}

type Shown = { type: number; length: number; hex: string; text: string | null; number: number | string | null };

/** What an attribute may be: its bytes, and text or a number where they can be read as such. */
function shownAttribute({ type, data }: GenericMessage["attributes"][number]): Shown {
  const size = data.length;
  const wide = size === 8 ? data.readBigUInt64LE(0) : undefined;
  const number = [1, 2, 4].includes(size)
    ? data.readUIntLE(0, size)
    : wide === undefined
      ? null
      : wide <= BigInt(Number.MAX_SAFE_INTEGER)
        ? Number(wide)
        : String(wide);
  // A name with its NUL may have the size of a number, but a number seldom has a name's bytes.
  const named = size > 2 && data[size - 1] === 0 && data.subarray(0, -1).every((byte) => byte > 0x20 && byte < 0x7f);
  const text = number === null || named ? asText(data) : undefined;
  return { type, length: size, hex: data.toString("hex"), text: text ?? null, number };
}

const shownMessage = ({ command, version, attributes }: GenericMessage) => ({
  command,
  version,
  attributes: attributes.map(shownAttribute),
});

function messageLines(message: ReturnType<typeof shownMessage>): string[] {
  const rows = message.attributes.map(({ type, length, hex, text, number }) => [
    `  ${type}`,
    text !== null
      ? JSON.stringify(text)
      : number !== null
        ? String(number)
        : hex.length > 64
          ? `${hex.slice(0, 64)}…`
          : hex,
    `${length} bytes`,
  ]);
  const columns = [{ title: "" }, { title: "" }, { title: "" }];
  return [`command ${message.command}`, ...layout(columns, rows, false)];
}

/** `1=hello`, `2:u32=7`: with the type that is given, else the one that the kernel's policy names. */
function parseAttributes(
  words: readonly string[],
  policy: ReadonlyMap<number, GenericAttributeType> | undefined,
  attribute: (number: number, type: GenericAttributeType, text: string) => Part,
): Part[] {
  return words.map((word) => {
    const parts = /^(\d+)(?::([a-z0-9-]+))?=(.*)$/s.exec(word);
    if (parts === null) throw usage(`${JSON.stringify(word)} is no attribute`, "`NUMBER=VALUE` or `NUMBER:TYPE=VALUE`");
    const number = parseNumber(parts[1] as string, "an attribute");
    const type = (parts[2] ?? policy?.get(number)) as GenericAttributeType | undefined;
    if (type === undefined) {
      const why =
        policy === undefined ? "the kernel shows no policy of that command" : "the policy has no such attribute";
      throw usage(`attribute ${number} needs a type: ${why}`, `\`${number}:TYPE=…\`; types: ${TYPES.join(", ")}`);
    }
    if (parts[2] !== undefined && !(TYPES as readonly string[]).includes(type)) {
      throw usage(`${JSON.stringify(type)} is no type of attribute`, `types: ${TYPES.join(", ")}`);
    }
    return attribute(number, type, parts[3] as string);
  });
}

function list(genl: Command, context: Context): void {
  leaf(genl, "ls", "the families of generic netlink", [
    ["xdpctl genl ls", "all of them, by name"],
    ["xdpctl genl ls --json", "with commands and groups"],
  ]).action(async () => {
    const families = await withSocket((socket) => socket.families());
    const columns = [
      { title: "NAME" },
      { title: "ID", align: "right" as const },
      { title: "VERSION", align: "right" as const },
      { title: "COMMANDS", align: "right" as const },
      { title: "GROUPS" },
    ];
    const rows = families.map(({ name, id, version, commands, groups }) => [
      name,
      id,
      version,
      commands.length,
      groups.map((one) => one.name).join(",") || null,
    ]);
    for (const line of layout(columns, rows)) context.terminal.line(line);
    context.terminal.json({ families });
  });
}

function info(genl: Command, context: Context): void {
  leaf(genl, "info <family>", "commands, attribute types and multicast groups of a family", [
    ["xdpctl genl info ethtool", "what ethtool's family offers"],
  ]).action(async (name: string) => {
    const found = await withSocket((socket) => {
      const family = socket.family(name);
      const commands = family.commands.map((command) => ({
        ...command,
        attributes: [...(socket.policy(family, command.id) ?? [])].map(([number, type]) => ({ number, type })),
      }));
      return { ...family, commands };
    });
    const { terminal } = context;
    terminal.line(`${visible(found.name)}  id ${found.id}  version ${found.version}`);
    const columns = [{ title: "COMMAND", align: "right" as const }, { title: "FLAGS" }, { title: "ATTRIBUTES" }];
    const rows = found.commands.map(({ id, flags, attributes }) => [
      id,
      flags.join(",") || null,
      attributes.map(({ number, type }) => `${number}:${type}`).join(" ") || null,
    ]);
    for (const line of layout(columns, rows)) terminal.line(line);
    const groups = found.groups.map((one) => [one.name, one.id]);
    if (groups.length > 0) {
      for (const line of layout([{ title: "GROUP" }, { title: "ID", align: "right" }], groups)) terminal.line(line);
    }
    terminal.json(found);
  });
}

function call(genl: Command, context: Context): void {
  leaf(genl, "call <family> <command> [attribute...]", "send a command, print the answers", [
    ["xdpctl genl call nlctrl 3 2=ethtool", "types come from the kernel's policy where it shows one"],
    ["xdpctl genl call nlctrl 3 2:nul-string=ethtool", "or are given"],
    ["xdpctl genl call netdev 1 --dump", "every object that there is"],
  ])
    .option("-d, --dump", "ask for all objects (NLM_F_DUMP)")
    .action(async (name: string, command: string, words: string[], options: { dump?: boolean }) => {
      const { genericAttribute } = await import("../../netlink/index.js");
      const number = parseNumber(command, "a command");
      const answers = await withSocket((socket) => {
        const family = socket.family(name);
        const typed = words.every((word) => /^\d+:/.test(word));
        const policy = typed ? undefined : socket.policy(family, number);
        const body = parseAttributes(words, policy, genericAttribute);
        if (options.dump !== true) return socket.request(family, number, body);
        const all: GenericMessage[] = [];
        socket.dump(
          family,
          number,
          body,
          (message) => all.push(message),
          () => all.splice(0),
        );
        return all;
      });
      const shown = answers.map(shownMessage);
      for (const line of shown.flatMap(messageLines)) context.terminal.line(line);
      if (shown.length === 0) context.terminal.line("done: no answer but the acknowledgement");
      context.terminal.json({ answers: shown });
    });
}

function monitor(genl: Command, context: Context): void {
  leaf(genl, "monitor <family> [group...]", "what a family multicasts, as it happens", [
    ["xdpctl genl monitor nlctrl", "families that come and go"],
    ["xdpctl genl monitor ethtool monitor --json", "one group, one object a line"],
  ])
    .option("-n, --count <number>", "end after so many messages", (text) => parseCount("count", text))
    .action(async (name: string, names: string[], options: { count?: number }) => {
      const { FamilyFollower } = await import("../../netlink/index.js");
      const family: GenericFamily = await withSocket((socket) => socket.family(name));
      if (family.groups.length === 0) throw usage(`the family ${name} has no multicast groups`);
      const { signal } = context;
      const live = await context.live();
      const json = context.terminal.jsonMode;
      let left = options.count ?? Number.POSITIVE_INFINITY;
      let enough: () => void = () => {};
      const done = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const write = (text: string): void => live.write(`${text}\n`);
      const heard = new FamilyFollower(await context.loop(), family.name, names, {
        message: (message) => {
          if (left <= 0) return;
          const time = new Date().toISOString();
          const shown = shownMessage(message);
          if (json) write(JSON.stringify({ type: "genl", time, family: family.name, ...shown }));
          else write([`${time.slice(11, 23)}  ${family.name}  ${messageLines(shown).join("\n")}`].join("\n"));
          if (--left <= 0) enough();
        },
        state: (state) => {
          const news = { type: "family", time: new Date().toISOString(), family: family.name, state };
          write(json ? JSON.stringify(news) : `${news.time.slice(11, 23)}  family ${state}  ${family.name}`);
        },
        lost: () => {
          const lost = { type: "lost", time: new Date().toISOString(), where: "netlink", name: family.name, count: 1 };
          write(json ? JSON.stringify(lost) : `${lost.time.slice(11, 23)}  ${family.name}  messages were lost`);
        },
      });
      try {
        await Promise.race([done, aborted(signal)]);
        await settle(live.drained(), signal);
      } finally {
        heard.close();
        live.close();
      }
    });
}

/** `xdpctl genl`: generic netlink by hand. */
export function register(program: Command, context: Context): void {
  const genl = group(program, "genl", "generic netlink: families, commands, events", [
    ["xdpctl genl ls", "the families that there are"],
    ["xdpctl genl call nlctrl 3 2=ethtool", "send a command, see the answer"],
    ["xdpctl genl monitor nlctrl", "what a family tells"],
  ]);
  list(genl, context);
  info(genl, context);
  call(genl, context);
  echo(genl, context);
  monitor(genl, context);
}
