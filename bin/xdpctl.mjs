#!/usr/bin/env node
// SPDX-License-Identifier: MIT
let cli;
try {
  cli = await import("../dist/cli.js");
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND" || !String(error.message).includes("dist/cli.js")) throw error;
  process.stderr.write("error: xdpctl is not built: run `npm start` or `npm run build` first\n");
  process.exit(1);
}
await cli.main();
