#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// CommonJS, because Node's loader of ES modules takes 10 ms to start.
"use strict";

let cli;
try {
  cli = require("../dist/start.cjs");
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND" || !String(error.message).includes("dist/start.cjs")) throw error;
  process.stderr.write("error: xdpctl is not built: run `npm start` or `npm run build` first\n");
  process.exit(1);
}
cli.main();
