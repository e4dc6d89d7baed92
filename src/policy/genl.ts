// SPDX-License-Identifier: MIT
import type { ErrorCode } from "../errors/index.js";
import { XdpctlError } from "../errors/index.js";
import type { FromWorker, ToWorker } from "./messages.js";

/** A multicast group of a family of generic netlink, by name. */
export interface GenericGroupName {
  readonly family: string;
  readonly group: string;
}

/** A family's message, for a script: its attributes are bytes, which the script reads itself. */
export interface GenericReply {
  readonly command: number;
  readonly version: number;
  readonly payload: Uint8Array;
}

/** What a script hears of a group that it listens to. */
export type GenericNews = GenericGroupName &
  (
    | ({ readonly type: "message" /** Seconds of CLOCK_MONOTONIC. */; readonly time: number } & GenericReply)
    /** The family went away, or is there again; or so many messages were lost, at least. */
    | { readonly type: "state"; readonly state: "gone" | "there" | "lost"; readonly count: number }
  );

/** A family, as scripts see it. */
export interface GenericFamilyInfo {
  readonly name: string;
  readonly id: number;
  readonly version: number;
  readonly groups: readonly string[];
}

/** What a script asks of generic netlink. `body`: the bytes of the attributes. */
export type GenericRequest =
  | { readonly op: "families" }
  | {
      readonly op: "call" | "dump";
      readonly family: string;
      readonly command: number;
      readonly body: Uint8Array;
    };

export interface GenericProblem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly errno: number | undefined;
  /** The extended-ack text. */
  readonly kernel: string | undefined;
}

export type GenericAnswer =
  | { readonly replies: readonly GenericReply[] }
  | { readonly families: readonly GenericFamilyInfo[] }
  | { readonly problem: GenericProblem };

/** What the controller gives to a policy: workers have no sockets. */
export interface GenericAccess {
  /** The groups that the script listens to from now on: all of them, each time that they change; none at its end. */
  listen(groups: readonly GenericGroupName[], news: (news: GenericNews) => void): void;
  /** Answers one request. Throws what is wrong. */
  request(request: GenericRequest): Exclude<GenericAnswer, { problem: GenericProblem }>;
}

/** A script listens to so many groups, and waits for so many answers, at most. */
export const MOST_GROUPS = 16;
export const MOST_REQUESTS = 64;
/** Bytes of a request's attributes, at most. */
export const LONGEST_REQUEST = 32_768;
/** Messages that may wait for a worker: the rest of the room is for what comes seldom. */
export const MOST_NEWS = 500;

/** The answer to a script's request: an error is a part of it. */
export function answerGeneric(
  { id, request }: Extract<FromWorker, { type: "genl" }>,
  access: GenericAccess | undefined,
): Extract<ToWorker, { type: "genl-answer" }> {
  try {
    if (access === undefined) {
      throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "generic netlink can't be reached from here");
    }
    return { type: "genl-answer", id, answer: access.request(request) };
  } catch (thrown) {
    const { code, message, errno, kernel } = XdpctlError.wrap(thrown);
    return { type: "genl-answer", id, answer: { problem: { code, message, errno, kernel } } };
  }
}
