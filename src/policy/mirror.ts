// SPDX-License-Identifier: MIT

/** A key of a table of `state`; strings are bytes, one a character. */
export type MirrorKey = string | number | boolean;
/** A value: like a key, or another table by its number. */
export type MirrorValue = MirrorKey | { readonly t: number };

/** What a policy keeps in `state`, outside of its worker: plain, and fit for structured cloning. */
export interface StateMirror {
  root: number;
  tables: Map<number, Map<MirrorKey, MirrorValue>>;
}

/** Changes to a mirror: per table keys and values in turn; null deletes. `full` ones replace it. */
export interface StateDelta {
  root: number;
  full: boolean;
  tables: [number, (MirrorKey | MirrorValue | null)[]][];
}

export function emptyMirror(): StateMirror {
  return { root: 0, tables: new Map() };
}

export function applyDelta(mirror: StateMirror, delta: StateDelta): void {
  if (delta.full) mirror.tables.clear();
  mirror.root = delta.root;
  for (const [id, entries] of delta.tables) {
    let table = mirror.tables.get(id);
    if (table === undefined) {
      table = new Map();
      mirror.tables.set(id, table);
    }
    for (let i = 0; i < entries.length; i += 2) {
      const value = entries[i + 1];
      if (value === null || value === undefined) table.delete(entries[i] as MirrorKey);
      else table.set(entries[i] as MirrorKey, value);
    }
  }
}

/** The mirror as nested plain objects, for people and tests. A table that contains itself is shown once. */
export function plainState(mirror: StateMirror): Record<string, unknown> {
  const seen = new Set<number>();
  const read = (id: number): Record<string, unknown> => {
    if (seen.has(id)) return {};
    seen.add(id);
    const out: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of mirror.tables.get(id) ?? []) {
      const name = typeof key === "string" ? Buffer.from(key, "latin1").toString() : String(key);
      if (typeof value === "object") out[name] = read(value.t);
      else out[name] = typeof value === "string" ? Buffer.from(value, "latin1").toString() : value;
    }
    seen.delete(id);
    return { ...out };
  };
  return read(mirror.root);
}
