// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { MapEntry } from "../../rpc/index.js";
import { group, leaf, parser } from "../command.js";
import type { Context } from "../context.js";
import { entryTable, parsePlain } from "../plain.js";
import { parseCount, parseDuration } from "../quantities.js";
import { layout } from "../table.js";
import { watch } from "../watch.js";

const limit = (text: string): number => parseCount("number of entries", text);

function show(context: Context, entries: readonly MapEntry[]): void {
  const { columns, rows } = entryTable(entries);
  context.terminal.table(columns, rows);
}

export function register(program: Command, context: Context): void {
  const map = group(program, "map", "read and write the maps of attached programs", [
    ["xdpctl map ls", "which there are"],
    ["xdpctl map dump flows", "every entry of one"],
    ["xdpctl map watch flows --interval 5s", "again and again"],
  ]);
  list(map, context);
  dump(map, context);
  single(map, context);
  watching(map, context);
}

function list(map: Command, context: Context): void {
  leaf(map, "ls", "the maps", [
    ["xdpctl map ls", "those of our attachments"],
    ["xdpctl map ls --all", "every map of the kernel"],
  ])
    .option("-a, --all", "also maps that are not ours")
    .action(async (options: { all?: boolean }) => {
      const backend = await context.backend();
      const { maps } = await backend.request("map.list", { all: options.all === true });
      context.terminal.table(
        [
          { title: "ID", align: "right" },
          { title: "NAME" },
          { title: "TYPE" },
          { title: "KEY", align: "right" },
          { title: "VALUE", align: "right" },
          { title: "ENTRIES", align: "right" },
          { title: "INTERFACES" },
        ],
        maps.map((m) => [
          m.id,
          m.name,
          m.type,
          m.keySize,
          m.valueSize,
          m.maxEntries,
          m.interfaces.length === 0 ? null : m.interfaces.join(","),
        ]),
      );
      context.terminal.json({ maps });
    });
}

function dump(map: Command, context: Context): void {
  leaf(map, "dump <map>", "every entry of a map", [
    ["xdpctl map dump flows", "by name"],
    ["xdpctl map dump eth1/flows --limit 100", "the one on eth1, and no more than 100"],
    ["xdpctl map dump 17 --json", "by the kernel's id"],
  ])
    .option("-n, --limit <n>", "at most N entries", limit)
    .action(async (name: string, options: { limit?: number }) => {
      const backend = await context.backend();
      const result = await backend.request("map.dump", {
        map: name,
        ...(options.limit === undefined ? {} : { limit: options.limit }),
      });
      show(context, result.entries);
      if (result.truncated) context.terminal.note("… there are more entries: see --limit");
      context.terminal.json(result);
    });
}

function single(map: Command, context: Context): void {
  leaf(map, "get <map> <key>", "one entry", [
    ["xdpctl map get deny_v4 addr=198.51.100.0,prefixLen=24", "a key by its fields"],
    [`xdpctl map get deny_v4 '{"addr":"198.51.100.0","prefixLen":24}'`, "the same as JSON"],
  ]).action(async (name: string, key: string) => {
    const backend = await context.backend();
    const entry = await backend.request("map.get", { map: name, key: parsePlain(key) });
    show(context, [entry]);
    context.terminal.json(entry);
  });
  leaf(map, "set <map> <key> <value>", "write one entry", [
    ["xdpctl map set config 0 1", "a number by a number"],
    ["xdpctl map set ports 22 allowed=1 --create", "and an error if it is there"],
  ])
    .option("--create", "fail if the key is there already")
    .action(async (name: string, key: string, value: string, options: { create?: boolean }) => {
      const backend = await context.backend();
      const params = { map: name, key: parsePlain(key), value: parsePlain(value) };
      const entry = await backend.request("map.set", options.create === true ? { ...params, create: true } : params);
      show(context, [entry]);
      context.terminal.json(entry);
    });
  leaf(map, "delete <map> <key...>", "delete entries", [
    ["xdpctl map delete deny_v4 addr=198.51.100.0,prefixLen=24", "one entry"],
  ]).action(async (name: string, keys: string[]) => {
    const backend = await context.backend();
    const parsed = keys.map(parsePlain);
    let deleted = 0;
    for (const key of parsed) deleted += (await backend.request("map.delete", { map: name, key })).deleted;
    context.terminal.line(`${deleted} ${deleted === 1 ? "entry" : "entries"} deleted`);
    context.terminal.json({ deleted });
  });
}

function watching(map: Command, context: Context): void {
  leaf(map, "watch <map>", "the entries of a map, again and again", [
    ["xdpctl map watch flows", "every second"],
    ["xdpctl map watch stats --interval 5s --json", "one object a line, every five seconds"],
  ])
    .option("--interval <duration>", "how often; every second by default", parser(parseDuration))
    .option("-n, --limit <n>", "at most N entries", limit, 1000)
    .action(async (name: string, options: { interval?: number; limit: number }) => {
      const backend = await context.backend();
      await watch(
        context,
        options.interval ?? 1,
        () => backend.request("map.dump", { map: name, limit: options.limit }),
        ({ entries, truncated }) => {
          const { columns, rows } = entryTable(entries);
          return [...layout(columns, rows), ...(truncated ? ["… there are more entries: see --limit"] : [])];
        },
        (result) => ({ time: new Date().toISOString(), ...result }),
      );
    });
}
