// SPDX-License-Identifier: MIT
import { CODES, EXIT_CODES, type ErrorClass, type ErrorCode } from "./codes.js";

export interface ErrorDetails {
  /** Overrides the remedy of the table. */
  readonly remedy?: string;
  /** errno of the kernel's answer, positive. */
  readonly errno?: number;
  /** The kernel's extended-ack or libbpf's own text. */
  readonly kernel?: string;
  /** More lines under the message: source lines, the summary of a log. */
  readonly lines?: readonly string[];
  /** A long text kept whole, such as the verifier's log. */
  readonly log?: string;
  readonly cause?: unknown;
}

/** What crosses the control socket and `--json`. */
export interface ErrorObject {
  code: ErrorCode;
  message: string;
  remedy: string;
  errno?: number;
  kernel?: string;
  lines?: readonly string[];
  log?: string;
}

const BRAND = Symbol.for("xdpctl.error");

/** The one error type that xdpctl throws: a stable `code`, what was tried, the kernel's reason, the remedy. */
export class XdpctlError extends Error {
  override readonly name = "XdpctlError";
  readonly [BRAND] = true;
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly errno: number | undefined;
  readonly kernel: string | undefined;
  readonly lines: readonly string[];
  readonly log: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.remedy = details.remedy ?? CODES[code].remedy;
    this.errno = details.errno;
    this.kernel = details.kernel;
    this.lines = details.lines ?? [];
    this.log = details.log;
  }

  get class(): ErrorClass {
    return CODES[this.code].class;
  }

  get exitCode(): number {
    const entry: { class: ErrorClass; exit?: number } = CODES[this.code];
    return entry.exit ?? EXIT_CODES[entry.class];
  }

  toJSON(): ErrorObject {
    return {
      code: this.code,
      message: this.message,
      remedy: this.remedy,
      ...(this.errno === undefined ? {} : { errno: this.errno }),
      ...(this.kernel === undefined ? {} : { kernel: this.kernel }),
      ...(this.lines.length === 0 ? {} : { lines: this.lines }),
      ...(this.log === undefined ? {} : { log: this.log }),
    };
  }

  static from(object: ErrorObject): XdpctlError {
    const known = Object.hasOwn(CODES, object.code);
    return new XdpctlError(known ? object.code : "XDPCTL_E_INTERNAL", object.message, object);
  }

  /** True for an XdpctlError of any copy of this package, optionally of one code. */
  static is(value: unknown, code?: ErrorCode): value is XdpctlError {
    return value instanceof Error && BRAND in value && (code === undefined || (value as XdpctlError).code === code);
  }

  /** Wraps whatever was thrown; an XdpctlError stays itself. */
  static wrap(value: unknown): XdpctlError {
    if (XdpctlError.is(value)) return value;
    const text = value instanceof Error ? value.message : String(value);
    return new XdpctlError("XDPCTL_E_INTERNAL", text, { cause: value });
  }
}
