// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import type { GenericFamily, GenericMessage } from "../netlink/index.js";
import { type GenericAccess, type GenericRequest, LONGEST_REQUEST } from "../policy/index.js";
import type { GenericSource } from "./generic-source.js";

type Answer = ReturnType<GenericAccess["request"]>;
/** Whose commands that need rights a policy may call. */
export type Allowed = "all" | readonly string[];

/** An answer has at most so many messages, and bytes. */
const MOST_REPLIES = 4096;
const MOST_BYTES = 1 << 20;
const PRIVILEGED: readonly string[] = ["admin", "namespace-admin"];

class Replies {
  readonly list: { command: number; version: number; payload: Uint8Array }[] = [];
  #bytes = 0;

  add(family: string, { command, version, payload }: GenericMessage): void {
    this.#bytes += payload.length;
    if (this.list.length >= MOST_REPLIES || this.#bytes > MOST_BYTES) {
      const most = `${MOST_REPLIES} messages and ${MOST_BYTES / 1024} KiB`;
      throw new XdpctlError("XDPCTL_E_NETLINK", `the answer of ${family} has more than a script may get: ${most}`);
    }
    this.list.push({ command, version, payload: new Uint8Array(payload) });
  }

  clear(): void {
    this.list.length = 0;
    this.#bytes = 0;
  }
}

/** The controller has rights that a script is not to have by itself. */
function mayCall(family: GenericFamily, command: number, allowed: Allowed): void {
  if (allowed === "all" || allowed.includes(family.name)) return;
  const flags = family.commands.find(({ id }) => id === command)?.flags ?? [];
  if (!flags.some((flag) => PRIVILEGED.includes(flag))) return;
  throw new XdpctlError(
    "XDPCTL_E_PERMISSION",
    `${family.name} command ${command} changes the system: this policy may not call it`,
    { remedy: `load the policy with \`--genl ${family.name}\`` },
  );
}

/** Answers what a script asks. Throws XDPCTL_E_NO_FAMILY, XDPCTL_E_NETLINK, XDPCTL_E_PERMISSION. */
export function answerRequest(source: GenericSource, request: GenericRequest, allowed: Allowed): Answer {
  if (request.op === "families") {
    return {
      families: source.families().map(({ name, id, version, groups }) => {
        return { name, id, version, groups: groups.map((group) => group.name) };
      }),
    };
  }
  const { family: name, command, body } = request;
  if (body.length > LONGEST_REQUEST) throw new XdpctlError("XDPCTL_E_INTERNAL", "a request of a script is too long");
  const family = source.find(name);
  if (family === undefined) {
    const names = source.families().map((one) => one.name);
    throw new XdpctlError("XDPCTL_E_NO_FAMILY", `generic netlink has no family ${name}${didYouMean(name, names)}`);
  }
  mayCall(family, command, allowed);
  const replies = new Replies();
  if (request.op === "call") {
    for (const message of source.request(family, command, body)) replies.add(name, message);
  } else {
    const add = (message: GenericMessage): void => replies.add(name, message);
    source.dump(family, command, body, add, () => replies.clear());
  }
  return { replies: replies.list };
}
