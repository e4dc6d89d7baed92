// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { type Link, openRoute } from "../netlink/index.js";

/** The interface of that name in the calling thread's network namespace. Throws XDPCTL_E_NO_INTERFACE, XDPCTL_E_USAGE. */
export function findInterface(name: string): Link {
  if (name === "") throw new XdpctlError("XDPCTL_E_USAGE", "the name of an interface is empty");
  const route = openRoute();
  try {
    const links = route.links();
    const found = links.find((link) => link.name === name);
    if (found !== undefined) return found;
    const hint = didYouMean(
      name,
      links.map((link) => link.name),
    );
    const shown = JSON.stringify(name).slice(1, -1);
    throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no interface ${shown} in this namespace${hint}`);
  } finally {
    route.close();
  }
}
