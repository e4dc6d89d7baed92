// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import { shown } from "../../shown.js";
import type { NodeSpec } from "../../spec.js";
import { containerOf } from "./create.js";
import { type EngineName, engine, PULL_DEADLINE_MS } from "./engine.js";

/** What an image says of the containers that are made of it. */
export interface Image {
  readonly id: string;
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
}

interface Inspected {
  readonly Id: string;
  readonly Config?: { readonly Env?: string[] | null; readonly WorkingDir?: string; readonly User?: string };
}

function inspect(name: EngineName, images: readonly string[]): Map<string, Image> | undefined {
  const { ok, stdout } = engine(name, ["image", "inspect", ...images]);
  if (!ok) return undefined;
  const found = JSON.parse(stdout) as Inspected[];
  return new Map(
    found.map(({ Id, Config = {} }, i) => [
      images[i] ?? "",
      { id: Id, env: Config.Env ?? [], workingDir: Config.WorkingDir || "/", user: Config.User ?? "" },
    ]),
  );
}

/** The images of containers, by name. Fetches none unless a machine says `pull: missing`. Errors: XDPCTL_E_NO_IMAGE. */
export function imagesOf(at: EngineName, nodes: readonly NodeSpec[]): Map<string, Image> {
  const names = [...new Set(nodes.map((node) => containerOf(node).image))];
  // All at once is the usual case; what is missing is looked for when something is.
  const all = inspect(at, names);
  if (all !== undefined) return all;
  const found = new Map<string, Image>();
  for (const image of names) {
    let there = inspect(at, [image]);
    const users = nodes.filter((node) => containerOf(node).image === image);
    if (there === undefined && users.some((node) => containerOf(node).pull)) {
      const pulled = engine(at, ["pull", "--quiet", image], PULL_DEADLINE_MS);
      if (!pulled.ok) {
        throw new XdpctlError("XDPCTL_E_NO_IMAGE", `the image ${shown(image)} can't be fetched: ${pulled.reason}`);
      }
      there = inspect(at, [image]);
    }
    const one = there?.get(image);
    if (one === undefined) {
      const who = users.map((node) => node.name).join(", ");
      const own = /^(localhost\/)?xdpctl\/([a-z0-9-]+)(:latest)?$/.exec(image)?.[2];
      throw new XdpctlError("XDPCTL_E_NO_IMAGE", `there is no image ${shown(image)} in ${at}'s store (for ${who})`, {
        remedy:
          own === undefined
            ? `fetch it: \`${at} pull ${image}\`; or say \`pull: missing\` in the lab file`
            : `build it: \`scripts/build-image ${own}\``,
      });
    }
    found.set(image, one);
  }
  return found;
}
