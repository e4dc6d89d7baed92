// SPDX-License-Identifier: MIT
import type { Attachment as AttachmentInfo, LoadParams, Methods, Rule, RuleSpec } from "../rpc/index.js";
import type { Attachments, Loaded } from "../xdp/index.js";
import { dumpMap, getEntry, listMaps, setEntry, withMap } from "./maps.js";
import { addRules, deleteAllRules, deleteRules } from "./rule-write.js";
import { listRules } from "./rules.js";

const DUMP_LIMIT = 10_000;

/** The methods that need no owner: the controller and a command on its own answer them in the same way. */
export type SharedMethod =
  | "rules"
  | "rule.add"
  | "rule.delete"
  | "rules.add"
  | "rules.delete"
  | "map.list"
  | "map.dump"
  | "map.get"
  | "map.set"
  | "map.delete";

type Handlers = {
  [M in SharedMethod]: (attachments: Attachments, params: Methods[M]["params"]) => Methods[M]["result"];
};

function each({ rule, addresses }: Methods["rules.add"]["params"]): RuleSpec[] {
  return addresses.map((address) => ({ ...rule, address }));
}

export const sharedMethods: Handlers = {
  rules: (attachments, params) => ({ rules: listRules(attachments, params.interface) }),
  "rule.add": (attachments, params) => ({ rule: addRules(attachments, [params])[0] as Rule }),
  "rule.delete": (attachments, params) => ({
    deleted: params.all === true ? deleteAllRules(attachments, params) : deleteRules(attachments, [params]),
  }),
  "rules.add": (attachments, params) => ({ rules: addRules(attachments, each(params)) }),
  "rules.delete": (attachments, params) => ({ deleted: deleteRules(attachments, each(params)) }),
  "map.list": (attachments, params) => ({ maps: listMaps(attachments, params.all) }),
  "map.dump": (attachments, params) => withMap(attachments, params, (map) => dumpMap(map, params.limit ?? DUMP_LIMIT)),
  "map.get": (attachments, params) => withMap(attachments, params, (map) => getEntry(map, params.key)),
  "map.set": (attachments, params) =>
    withMap(attachments, params, (map) => setEntry(map, params.key, params.value, params.create === true)),
  "map.delete": (attachments, params) =>
    withMap(attachments, params, (map) => ({ deleted: map.delete(params.key as never) ? 1 : 0 })),
};

export function isShared(method: string): method is SharedMethod {
  return Object.hasOwn(sharedMethods, method);
}

/** What `load` tells about one interface. */
export function loadedInfo({ attachment, fallback, replaced }: Loaded): AttachmentInfo {
  return {
    interface: attachment.interface,
    ifindex: attachment.ifindex,
    program: attachment.instance.name,
    id: attachment.instance.id,
    mode: attachment.mode,
    ...(fallback === undefined ? {} : { fallback }),
    ...(replaced === undefined ? {} : { replaced }),
    pinned: attachment.pinned,
  };
}

/** Loads, and tells of each interface; the verifier's log only where it was asked for. */
export async function loadWith(
  attachments: Attachments,
  params: LoadParams,
): Promise<Methods["load"]["result"] & { loaded: Loaded[] }> {
  const outcome = await attachments.load(params);
  return {
    attachments: outcome.loaded.map(loadedInfo),
    loaded: outcome.loaded,
    ...(outcome.log === undefined ? {} : { log: outcome.log }),
  };
}

/** Takes programs off; with `all`, everything of ours (and with `force` what is not ours). */
export function unloadWith(attachments: Attachments, params: Methods["unload"]["params"]): Methods["unload"]["result"] {
  const names = params.all
    ? attachments
        .links()
        .filter((link) => link.xdp.mode !== "none" && (params.force || attachments.get(link.index) !== undefined))
        .map((link) => link.name)
    : [...new Set(params.interfaces)];
  // All of them or none.
  for (const name of names) attachments.unloadable(name, params.force);
  return { detached: names.map((name) => attachments.unload(name, params.force)) };
}
