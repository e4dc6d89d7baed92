// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { ClientMessage, Method, Stream } from "./protocol.js";

const METHODS: Record<Method, true> = {
  info: true,
  load: true,
  unload: true,
  status: true,
  rules: true,
  "rule.add": true,
  "rule.delete": true,
  "rules.add": true,
  "rules.delete": true,
  "map.list": true,
  "map.dump": true,
  "map.get": true,
  "map.set": true,
  "map.delete": true,
  "policy.load": true,
  "policy.unload": true,
  "policy.list": true,
  lua: true,
};
const STREAMS: Record<Stream, true> = { events: true };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads one line of a client. Throws XDPCTL_E_RPC where it is no message: the connection can't go on then. */
export function parseClientMessage(line: string): ClientMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new XdpctlError("XDPCTL_E_RPC", "the control socket got a line that is no JSON", { cause });
  }
  if (!isObject(value) || !Number.isSafeInteger(value.id) || (value.id as number) < 1) {
    throw new XdpctlError("XDPCTL_E_RPC", "the control socket got a message without an id");
  }
  return value as ClientMessage;
}

/** Throws XDPCTL_E_RPC for what this controller does not know: the connection goes on. */
export function checkClientMessage(message: ClientMessage): void {
  if ("cancel" in message) return;
  if (!isObject(message.params)) throw new XdpctlError("XDPCTL_E_RPC", "a request came without parameters");
  if ("subscribe" in message) {
    if (Object.hasOwn(STREAMS, message.subscribe)) return;
    throw new XdpctlError("XDPCTL_E_RPC", `this controller has no stream ${JSON.stringify(message.subscribe)}`);
  }
  if (typeof message.method === "string" && Object.hasOwn(METHODS, message.method)) return;
  throw new XdpctlError("XDPCTL_E_RPC", `this controller has no method ${JSON.stringify(message.method)}`);
}
