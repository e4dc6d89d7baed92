// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Kernel } from "../../vm/index.js";
import { group, leaf } from "../command.js";
import type { Context } from "../context.js";
import { unlessEnded } from "../interrupted.js";

const shown = (kernel: Kernel) => ({
  version: kernel.version,
  source: kernel.source,
  image: kernel.image,
  modules: kernel.modules ?? null,
  config: kernel.config ?? null,
  packages: kernel.packages,
});

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

function list(kernels: Command, context: Context): void {
  const { terminal } = context;
  // Without a word `vm kernels` lists, and takes the options of `ls`.
  const ls = kernels
    .command("ls", { isDefault: true })
    .description("the kernels that are cached, and those of Debian's suites");
  ls.option("--json", "print JSON: one object")
    .option("-u, --update", "ask Debian's archive what it has now")
    .action(async (options: { update?: boolean }) => {
      const { cacheDir, listKernels } = await import("../../vm/index.js");
      const { signal } = context;
      const found = await unlessEnded(context, () =>
        listKernels({ log: (text) => terminal.note(text), signal, update: options.update === true }),
      );
      if (found === undefined) return;
      terminal.line(`cached in ${cacheDir()}:`);
      terminal.table(
        [{ title: "KERNEL" }, { title: "FROM" }, { title: "SIZE", align: "right" }, { title: "FETCHED" }],
        found.cached.map(({ kernel, size, made }) => [
          kernel.version,
          kernel.source,
          megabytes(size),
          made.slice(0, 16).replace("T", " "),
        ]),
      );
      terminal.line("");
      if (found.available.length > 0) {
        const cached = new Set(found.cached.map(({ kernel }) => kernel.version));
        terminal.table(
          [{ title: "AVAILABLE" }, { title: "FROM" }, { title: "CACHED" }],
          found.available.map((one) => [one.version, one.source, cached.has(one.version) ? "yes" : null]),
        );
      } else {
        terminal.line("`xdpctl vm kernels --update` asks Debian's archive what it has");
      }
      terminal.json({
        cache: cacheDir(),
        cached: found.cached.map(({ kernel, size, made }) => ({ ...shown(kernel), size, fetched: made })),
        available: found.available,
      });
    });
}

function fetch(kernels: Command, context: Context): void {
  const { terminal } = context;
  leaf(kernels, "fetch <spec...>", "bring kernels into the cache; asks the archive even for those that are there", [
    ["xdpctl vm kernels fetch 6.1 6.12 7.2", "the newest of each series"],
    ["xdpctl vm kernels fetch debian:trixie-backports", "what that suite has now, of the flavour cloud"],
    ["xdpctl vm kernels fetch debian:bookworm:amd64", "with all drivers"],
    ["xdpctl vm kernels fetch ./linux", "a tree in which a kernel was built"],
  ]).action(async (specs: string[]) => {
    const { resolveKernel } = await import("../../vm/index.js");
    const { signal } = context;
    for (const spec of specs) {
      const options = { log: (text: string) => terminal.note(text), signal, refresh: true };
      const kernel = await unlessEnded(context, () => resolveKernel(spec, options));
      if (kernel === undefined) return;
      terminal.line(`${spec}  ${kernel.version}  ${kernel.source}`);
      terminal.json({ spec, ...shown(kernel) });
    }
  });
}

function headers(kernels: Command, context: Context): void {
  const { terminal } = context;
  leaf(kernels, "headers <spec...>", "the folders in which modules for kernels are built; fetches what is missing", [
    ["xdpctl vm kernels headers 7.2", "prints the folder"],
    ['make -C "$(xdpctl vm kernels headers 7.2)" M="$PWD" modules', "builds the module of this folder"],
  ]).action(async (specs: string[]) => {
    const { kernelHeaders, resolveKernel } = await import("../../vm/index.js");
    const options = { log: (text: string) => terminal.note(text), signal: context.signal };
    for (const spec of specs) {
      const found = await unlessEnded(context, async () => {
        const kernel = await resolveKernel(spec, options);
        return { kernel, folder: await kernelHeaders(kernel, options) };
      });
      if (found === undefined) return;
      terminal.line(found.folder);
      terminal.json({ spec, version: found.kernel.version, headers: found.folder });
    }
  });
}

function source(kernels: Command, context: Context): void {
  const { terminal } = context;
  leaf(kernels, "source <version>", "the source of a kernel, as Debian has it; fetches what is missing", [
    ["xdpctl vm kernels source 7.2", "prints the folder; scripts/build-kernel builds it"],
    ["xdpctl vm kernels source 7.2 --update", "the newest that Debian has now"],
  ])
    .option("-u, --update", "ask Debian's archive what it has now")
    .action(async (version: string, options: { update?: boolean }) => {
      const { kernelSource } = await import("../../vm/index.js");
      const work = { log: (text: string) => terminal.note(text), signal: context.signal };
      const found = await unlessEnded(context, () =>
        kernelSource(version, { ...work, refresh: options.update === true }),
      );
      if (found === undefined) return;
      terminal.line(found.folder);
      terminal.json(found);
    });
}

function remove(kernels: Command, context: Context): void {
  const { terminal } = context;
  leaf(kernels, "rm <version...>", "take kernels out of the cache", [
    ["xdpctl vm kernels rm 6.1.0-56-cloud-amd64", "as `xdpctl vm kernels` names it"],
  ]).action(async (versions: string[]) => {
    const { removeKernel } = await import("../../vm/index.js");
    for (const version of versions) {
      await removeKernel(version);
      terminal.line(`${version}  removed`);
    }
    terminal.json({ removed: versions });
  });
}

/** `xdpctl vm kernels`: what a machine can boot. */
export function registerKernels(vm: Command, context: Context): void {
  const kernels = group(vm, "kernels", "the kernels that machines boot: cached, and available from Debian", [
    ["xdpctl vm kernels", "what is cached, and what there is"],
    ["xdpctl vm kernels fetch 6.1 6.12 7.2", "the newest of each series"],
  ]);
  list(kernels, context);
  fetch(kernels, context);
  headers(kernels, context);
  source(kernels, context);
  remove(kernels, context);
}
