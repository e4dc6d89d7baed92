// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { Backend, Method, Methods } from "../rpc/index.js";
import { Attachments } from "../xdp/index.js";
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

function noController(what: string): XdpctlError {
  return new XdpctlError(
    "XDPCTL_E_NO_CONTROLLER",
    `no controller runs in this network namespace, and ${what} needs one`,
  );
}

async function answer(method: Method, params: unknown): Promise<unknown> {
  const attachments = Attachments.open();
  try {
    if (isShared(method)) return sharedMethods[method](attachments, params as never);
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
