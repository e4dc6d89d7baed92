// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { MptcpLimits } from "../../netlink/index.js";
import { leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount } from "../quantities.js";
import { withMptcp } from "./socket.js";
import { pathManager, sayPathManager } from "./sysctl.js";

const KEYS: Readonly<Record<string, keyof MptcpLimits>> = { subflows: "subflows", accepted: "accepted" };

export function registerLimits(mptcp: Command, context: Context): void {
  leaf(mptcp, "limits [setting...]", "how many subflows a connection may have, and announced addresses it uses", [
    ["xdpctl mptcp limits", "what they are"],
    ["xdpctl mptcp limits subflows=4 accepted=2", "set them, 0 to 8 each; what is not named stays"],
  ]).action(async (words: string[]) => {
    const set: { -readonly [K in keyof MptcpLimits]?: number } = {};
    for (const word of words[0] === "set" ? words.slice(1) : words) {
      const [name = "", text, ...rest] = word.split("=");
      const key = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
      if (key === undefined || text === undefined || rest.length > 0) {
        throw usage(`${JSON.stringify(word)} is no limit`, "`subflows=4`, `accepted=2`");
      }
      set[key] = parseCount(name, text, 0, 8);
    }
    const limits = await withMptcp((socket) => {
      if (Object.keys(set).length > 0) socket.setLimits(set);
      return socket.limits();
    });
    context.terminal.line(`subflows ${limits.subflows}  accepted ${limits.accepted}`);
    sayPathManager(context.terminal);
    context.terminal.json({ limits, pathManager: pathManager() });
  });
}
