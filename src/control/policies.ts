// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { XdpctlEvent } from "../events/index.js";
import type { Methods } from "../rpc/index.js";
import type { Attachments, Instance } from "../xdp/index.js";

export interface PoliciesHost {
  publish(event: XdpctlEvent): void;
  attachments: Attachments;
  name(ifindex: number): string;
  request<M extends "load">(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]>;
}

export class Policies {
  constructor(_host: PoliciesHost) {}
  push(_bytes: Uint8Array, _offset: number): void {}
  flush(): void {}
  send(_event: XdpctlEvent): void {}
  follow(_instances: readonly Instance[]): void {}
  tick(): void {}
  names(): string[] {
    return [];
  }
  answer(method: string, _params: unknown): Promise<unknown> {
    return Promise.reject(new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `${method} is not there yet`));
  }
  interrupt(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}
