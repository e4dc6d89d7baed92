// SPDX-License-Identifier: MIT
import { CODES, XdpctlError } from "../errors/index.js";

/** The error for what can't be used: why it is down, with the code, the lines and the hint of that. */
export function downError(what: string, why: XdpctlError, remedy: string): XdpctlError {
  const own = why.remedy === CODES[why.code].remedy ? [] : [why.remedy];
  return XdpctlError.from({
    ...why.toJSON(),
    message: `${what} is down: ${why.message}`,
    remedy: [...own, remedy].join("; "),
  });
}
