// SPDX-License-Identifier: MIT
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { type AptPackage, type AptSource, parsePackages, parseUris, type Trust, trustOf } from "./apt-text.js";
import { cacheDir, withCacheLock, type Work, writeWhole } from "./cache.js";
import { compareVersions } from "./spec.js";
import { runTool } from "./tool.js";

/** Lists older than this are read anew before something is looked for in them, in milliseconds. */
const FRESH_MS = 24 * 3_600_000;
/** It has the keys of every suite; a source of the system may name only those of its own. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The archives of Debian that apt is set up with here. */
async function mirrors(work: Work): Promise<{ main: AptSource; security: AptSource | undefined }> {
  const sources = parseUris(await runTool(["apt-get", "update", "--print-uris"], work));
  const debian = sources.filter(({ uri }) => /debian/i.test(uri.replace(/^\w+:\/\/[^/]*/, "")));
  const security = debian.find(({ suite }) => /[-/](security|updates\/security)$/.test(suite));
  const main = debian.find(({ uri }) => uri !== security?.uri);
  if (main === undefined) {
    throw new XdpctlError("XDPCTL_E_DOWNLOAD", "apt is set up with no archive of Debian's", {
      remedy: "add one to /etc/apt/sources.list.d, or name a kernel by its file",
    });
  }
  return { main, security };
}

/** What the system's own sources say about the trust in an archive. */
async function systemTrust(uri: string, work: Work): Promise<Trust> {
  const told = await runTool(
    ["apt-config", "shell", "F", "Dir::Etc::sourcelist/f", "D", "Dir::Etc::sourceparts/d"],
    work,
  );
  const [list = "", parts = ""] = ["F", "D"].map((name) => new RegExp(`^${name}='(.*)'$`, "m").exec(told)?.[1]);
  const files = [list, ...(existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [])];
  for (const file of files.filter((name) => /\.(list|sources)$/.test(name) && existsSync(name))) {
    const trust = trustOf(file, readFileSync(file, "utf8"), uri);
    if (trust !== undefined) return trust;
  }
  return { signedBy: [], trusted: false };
}

async function stanza({ uri }: AptSource, suites: readonly string[], work: Work): Promise<string> {
  const trust = await systemTrust(uri, work);
  const keys = [...new Set([...trust.signedBy, KEYRING])].filter((key) => existsSync(key));
  return [
    "Types: deb",
    `URIs: ${uri}`,
    `Suites: ${suites.join(" ")}`,
    "Components: main",
    ...(keys.length > 0 ? [`Signed-By: ${keys.join(" ")}`] : []),
    ...(trust.trusted ? ["Trusted: yes"] : []),
  ].join("\n");
}

/**
 * One suite of Debian, with the security updates that belong to it, whichever the system itself uses. It is apt that reads
 * and verifies it, with its own configuration, proxies and credentials, but with lists of our own.
 */
export class Suite {
  readonly name: string;
  readonly #dir: string;
  readonly #work: Work;

  constructor(name: string, work: Work) {
    this.name = name;
    this.#dir = join(cacheDir(), "apt", name);
    this.#work = work;
  }

  get #conf(): string {
    return join(this.#dir, "apt.conf");
  }

  get #stamp(): string {
    return join(this.#dir, "updated");
  }

  /** True when its lists were read once, however long ago. */
  get known(): boolean {
    return existsSync(this.#stamp);
  }

  /** Reads the lists of packages, where they are old or `force` is set. Old ones serve when the archive can't be reached. */
  async update(force = false): Promise<void> {
    const fresh = (): boolean => this.known && !force && Date.now() - statSync(this.#stamp).mtimeMs < FRESH_MS;
    if (fresh()) return;
    await withCacheLock(`apt-${this.name}`, this.#work, async () => {
      if (fresh()) return;
      await this.#configure();
      this.#work.log?.(`reading the package lists of ${this.name}`);
      try {
        await this.#apt("apt-get", "-q", "update");
      } catch (error) {
        if (!XdpctlError.is(error, "XDPCTL_E_TOOL")) throw error;
        if (this.known) this.#work.log?.(`the lists of ${this.name} can't be read anew; going on with the old ones`);
        // A release without security updates: the rest was read.
        else if (!(await this.#hasLists())) {
          rmSync(this.#dir, { recursive: true, force: true });
          throw downloadError(`the package lists of ${this.name}`, error);
        }
      }
      writeWhole(this.#stamp, "");
    });
  }

  async #configure(): Promise<void> {
    const { main, security } = await mirrors(this.#work);
    const own = this.name.endsWith("-security");
    const released = !own && !/-|^(sid|unstable|testing|experimental)$/.test(this.name);
    const stanzas = own ? [] : [await stanza(main, [this.name], this.#work)];
    if (security !== undefined && (own || released)) {
      const suite = own ? this.name : `${this.name}-security`;
      stanzas.push(await stanza(security, [suite], this.#work));
    }
    if (stanzas.length === 0) {
      throw new XdpctlError("XDPCTL_E_DOWNLOAD", `apt is set up with no security archive, where ${this.name} would be`);
    }
    for (const folder of ["lists/partial", "cache/archives/partial"]) {
      mkdirSync(join(this.#dir, folder), { recursive: true });
    }
    writeWhole(join(this.#dir, "debian.sources"), `${stanzas.join("\n\n")}\n`);
    const settings = {
      "Dir::Etc::sourcelist": join(this.#dir, "debian.sources"),
      "Dir::Etc::sourceparts": "-",
      "Dir::State::lists": join(this.#dir, "lists"),
      "Dir::State::status": "/dev/null",
      "Dir::Cache": join(this.#dir, "cache"),
      "Dir::Cache::pkgcache": "pkgcache.bin",
      "Acquire::Languages": "none",
      "APT::Get::List-Cleanup": "true",
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
    // The system's hooks are for its own lists; and a source that can't be reached shall not pass for an empty one.
    const update = ["#clear APT::Update;", 'APT::Update::Error-Mode "any";'];
    writeWhole(this.#conf, `${[...lines, ...update].join("\n")}\n`);
  }

  async #hasLists(): Promise<boolean> {
    return (await this.#apt("apt-cache", "pkgnames", "linux-image")) !== "";
  }

  #apt(tool: "apt-get" | "apt-cache", ...args: string[]): Promise<string> {
    return runTool([tool, "-c", this.#conf, ...args], { ...this.#work, cwd: this.#dir });
  }

  /** The names of packages that begin so. */
  async names(prefix: string): Promise<string[]> {
    return (await this.#apt("apt-cache", "pkgnames", prefix)).split("\n").filter((name) => name !== "");
  }

  /** The packages whose names begin so, in all their versions, newest first. */
  async find(prefix: string, filter: RegExp): Promise<AptPackage[]> {
    const names = (await this.names(prefix)).filter((name) => filter.test(name));
    return names.length === 0 ? [] : this.show(names);
  }

  /** These packages, in all their versions, newest first; what isn't there is left out. */
  async show(names: readonly string[]): Promise<AptPackage[]> {
    try {
      const found = parsePackages(await this.#apt("apt-cache", "show", ...names));
      return found.sort((a, b) => compareVersions(b.version, a.version));
    } catch (error) {
      if (XdpctlError.is(error, "XDPCTL_E_TOOL") && error.log?.includes("No packages found")) return [];
      throw error;
    }
  }

  /** Fetches packages into the folder `into`; what is there already, and whole, is not fetched again. Returns the files. */
  async download(packages: readonly AptPackage[], into: string): Promise<string[]> {
    mkdirSync(into, { recursive: true });
    const megabytes = packages.reduce((sum, one) => sum + one.size, 0) / 1e6;
    this.#work.log?.(`fetching ${packages.map((one) => one.name).join(", ")} (${megabytes.toFixed(1)} MB)`);
    const wanted = packages.map((one) => `${one.name}=${one.version}`);
    try {
      await runTool(["apt-get", "-c", this.#conf, "-q", "download", ...wanted], { ...this.#work, cwd: into });
    } catch (error) {
      if (!XdpctlError.is(error, "XDPCTL_E_TOOL")) throw error;
      throw downloadError(wanted.join(", "), error);
    }
    return packages.map((one) => join(into, debName(into, one)));
  }
}

/** apt writes a colon of a version as `%3a`. */
function debName(folder: string, one: AptPackage): string {
  const stem = `${one.name}_${one.version.replaceAll(":", "%3a")}`;
  return ["amd64", "all"].map((arch) => `${stem}_${arch}.deb`).find((name) => existsSync(join(folder, name))) ?? stem;
}

function downloadError(what: string, error: XdpctlError): XdpctlError {
  return new XdpctlError("XDPCTL_E_DOWNLOAD", `apt could not fetch ${what}`, {
    lines: error.lines,
    ...(error.log === undefined ? {} : { log: error.log }),
  });
}
