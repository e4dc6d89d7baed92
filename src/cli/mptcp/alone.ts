// SPDX-License-Identifier: MIT
import { createServer } from "node:net";
import { XdpctlError } from "../../errors/index.js";

/**
 * Makes this process the only one in its network namespace that does what `name` says, until the function that it resolves
 * to is called. An abstract socket's name belongs to the namespace, and the kernel frees it however the process ends.
 * Errors: XDPCTL_E_OCCUPIED with `refusal`.
 */
export function alone(name: string, refusal: string, remedy: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const server = createServer((client) => client.destroy());
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const code = cause.code === "EADDRINUSE" ? "XDPCTL_E_OCCUPIED" : "XDPCTL_E_SYSCALL";
      const message = cause.code === "EADDRINUSE" ? refusal : `${name}: ${cause.message}`;
      reject(new XdpctlError(code, message, { cause, remedy }));
    });
    server.listen(`\0xdpctl/${name}`, () => {
      server.unref();
      resolve(() => server.close());
    });
  });
}
