// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { needCapabilities } from "../linux/index.js";
import type { Backend, Method, Methods } from "../rpc/index.js";
import { Attachments } from "../xdp/index.js";
import { sweepRules } from "./rules.js";
import { isShared, loadWith, sharedMethods, unloadWith } from "./service.js";
import { statusOf } from "./status.js";

/** Answers in this process what needs no owner, when no controller runs. What it loads is pinned, and stays. */
export function directBackend(): Backend {
  return {
    request: async <M extends Method>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> =>
      (await answer(method, params)) as Methods[M]["result"],
    subscribe: () => Promise.reject(noController("events")),
  };
}

function noController(method: string): XdpctlError {
  const what = method.startsWith("policy.") ? "policies need" : method === "lua" ? "Lua needs" : `\`${method}\` needs`;
  return new XdpctlError("XDPCTL_E_NO_CONTROLLER", `no controller runs in this network namespace, and ${what} one`);
}

function needSight(method: Method): never {
  const what = method === "load" ? "loading a program" : "reaching what is attached";
  needCapabilities(what, "CAP_BPF", "CAP_NET_ADMIN");
  throw new XdpctlError(
    "XDPCTL_E_PERMISSION",
    `${what} needs CAP_DAC_OVERRIDE (or root): the BPF file system is closed`,
  );
}

async function answer(method: Method, params: unknown): Promise<unknown> {
  const attachments = Attachments.open();
  try {
    // An ordinary user may ask for the status; all else would tell him that nothing is there.
    if (method !== "status" && !attachments.seesOurs) needSight(method);
    if (isShared(method)) {
      // A controller does so by the clock.
      if (method.startsWith("rule")) sweepRules(attachments);
      return sharedMethods[method](attachments, params as never);
    }
    switch (method) {
      case "load": {
        const { loaded: _, ...result } = await loadWith(attachments, {
          ...(params as Methods["load"]["params"]),
          keep: true,
        });
        return result;
      }
      case "unload":
        return unloadWith(attachments, params as Methods["unload"]["params"]);
      case "status":
        return {
          interfaces: statusOf(attachments, (params as Methods["status"]["params"]).interfaces),
          controller: null,
        };
      default:
        throw noController(method);
    }
  } finally {
    attachments.close();
  }
}
