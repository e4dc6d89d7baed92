// SPDX-License-Identifier: MIT
import { type ErrorObject, XdpctlError } from "../../errors/index.js";
import type { DeployProgress } from "../deploy.js";
import type { LabSpec } from "../spec.js";
import { deploy } from "../up.js";

/** What is told from inside of a guest while a lab is deployed there, a line each. */
export type DeployMessage = { readonly progress: DeployProgress } | { readonly error: ErrorObject };

/** Deploys a lab of namespaces in the guest that this process runs in. Errors are told, not thrown. */
export function deployInside(spec: LabSpec, tell: (message: DeployMessage) => void): void {
  // Who asked may be gone: a lab half made is of no use to anybody.
  for (const name of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(name, () => undefined);
  try {
    deploy(spec, { onProgress: (progress) => tell({ progress }) });
  } catch (error) {
    tell({ error: XdpctlError.wrap(error).toJSON() });
  }
}
