// SPDX-License-Identifier: MIT

/** A suite of an archive that apt is set up with. */
export interface AptSource {
  /** The archive's address. */
  readonly uri: string;
  readonly suite: string;
}

/** The sources that `apt-get update --print-uris` would read: it knows them even where no lists were read yet. */
export function parseUris(text: string): AptSource[] {
  return [...text.matchAll(/^'(.*)\/dists\/(.+)\/InRelease' /gm)].map(([, uri = "", suite = ""]) => ({ uri, suite }));
}

/** Stanzas of `Field: value` lines, as `apt-cache show` and deb822 sources have; values of many lines are joined by blanks. */
export function parseStanzas(text: string): Record<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .map((block) => {
      const fields: Record<string, string> = {};
      let last: string | undefined;
      for (const line of block.split("\n")) {
        const field = /^([A-Za-z][A-Za-z0-9-]*):\s*(.*)$/.exec(line);
        if (field !== null) {
          last = field[1] ?? "";
          fields[last] = field[2] ?? "";
        } else if (last !== undefined && /^\s+\S/.test(line)) {
          fields[last] = `${fields[last]} ${line.trim()}`.trim();
        }
      }
      return fields;
    })
    .filter((fields) => Object.keys(fields).length > 0);
}

/** What a sources file says about the trust in the archive at `uri`. */
export interface Trust {
  /** Files of keys. */
  readonly signedBy: readonly string[];
  readonly trusted: boolean;
}

const sameUri = (a: string, b: string): boolean => a.replace(/\/+$/, "") === b.replace(/\/+$/, "");

/** What a `.sources` or `.list` file says about `uri`; undefined when it doesn't name it. */
export function trustOf(file: string, text: string, uri: string): Trust | undefined {
  const paths = (value = ""): string[] => value.split(/[\s,]+/).filter((word) => word.startsWith("/"));
  if (file.endsWith(".sources")) {
    const stanza = parseStanzas(text.replace(/^#.*\n/gm, "")).find((one) =>
      (one.URIs ?? "").split(/\s+/).some((word) => sameUri(word, uri)),
    );
    return stanza && { signedBy: paths(stanza["Signed-By"]), trusted: stanza.Trusted === "yes" };
  }
  for (const line of text.split("\n")) {
    const found = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)/.exec(line);
    if (found === null || !sameUri(found[2] ?? "", uri)) continue;
    const options = found[1] ?? "";
    return { signedBy: paths(/signed-by=(\S+)/.exec(options)?.[1]), trusted: /trusted=yes/.test(options) };
  }
  return undefined;
}

/** A package that a suite has. */
export interface AptPackage {
  readonly name: string;
  readonly version: string;
  /** Bytes to fetch. */
  readonly size: number;
  readonly depends: readonly string[];
}

/** The packages of `apt-cache show`; of a package that is there twice, both. */
export function parsePackages(text: string): AptPackage[] {
  return parseStanzas(text)
    .filter((one) => one.Package !== undefined && one.Version !== undefined)
    .map((one) => ({
      name: one.Package ?? "",
      version: one.Version ?? "",
      size: Number(one.Size ?? 0),
      depends: [one["Pre-Depends"], one.Depends]
        .flatMap((list) => (list ?? "").split(","))
        .map((word) => word.trim().split(/[\s(:|]/)[0] ?? "")
        .filter((word) => word !== ""),
    }));
}
