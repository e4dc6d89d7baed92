// SPDX-License-Identifier: MIT

/*
 * What `checks:` of a lab file may say. It is part of LAB_SCHEMA; which settings belong together is checked by parse.ts
 * of this folder, because one check is of one kind.
 */

const DURATION = {
  type: "string",
  pattern: "^([0-9]+(\\.[0-9]+)?)(ms|s|m)$",
  patternErrorMessage: "a duration is written as 500ms, 2s or 1m",
} as const;
const WORDS = {
  type: "array",
  items: { anyOf: [{ type: "string" }, { type: "integer" }] },
  minItems: 1,
  maxItems: 256,
} as const;
const COUNT = { type: "integer", minimum: 0, maximum: 4294967295 } as const;
const PORT = { type: "integer", minimum: 1, maximum: 65535 } as const;

const TARGET = {
  type: "object",
  properties: { to: { type: "string", description: "A machine, or an address." }, port: PORT },
  required: ["to", "port"],
  additionalProperties: false,
} as const;

const OUTPUT = {
  anyOf: [
    { type: "string" },
    {
      type: "object",
      properties: {
        matches: { type: "string", description: "A regular expression that is found in it." },
        contains: { type: "string" },
      },
      additionalProperties: false,
    },
  ],
} as const;

const STEP = {
  type: "object",
  properties: { on: { type: "string", description: "The machine." }, exec: WORDS },
  required: ["on", "exec"],
  additionalProperties: false,
} as const;

const SCALAR = { anyOf: [{ type: "string" }, { type: "integer" }, { type: "boolean" }] } as const;
const PLAIN = {
  anyOf: [{ type: "string" }, { type: "integer" }, { type: "object", additionalProperties: SCALAR }],
} as const;

export const CHECK_NAME = {
  type: "string",
  pattern: "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$",
  patternErrorMessage:
    "a check's name has 1 to 64 letters, digits and _ . -, and starts and ends with a letter or digit",
} as const;

export const CHECK = {
  type: "object",
  properties: {
    after: {
      anyOf: [{ type: "string" }, STEP, { type: "array", items: { anyOf: [{ type: "string" }, STEP] } }],
      description: "What comes before it: another check that must have passed, or a command that must end with 0.",
    },
    within: { ...DURATION, description: "How long it may take until it holds; with `fails`, how long it must not." },
    fails: { type: "boolean", description: "It passes when what it says does not happen." },
    from: { type: "string", description: "The machine that sends." },
    ping: { type: "string", description: "A machine, or an address: `count` echo requests are answered." },
    count: { type: "integer", minimum: 1, maximum: 1000, description: "Packets; 1 by default." },
    tcp: { ...TARGET, description: "A connection is taken there; a machine of the lab listens if nobody else does." },
    udp: { ...TARGET, description: "A datagram comes in at that machine." },
    on: { type: "string", description: "The machine on which it looks." },
    exec: { ...WORDS, description: "A command and its arguments." },
    status: { type: "integer", minimum: 0, maximum: 255, description: "Exit status of the command; 0 by default." },
    stdout: { ...OUTPUT, description: "Standard output: all of it without the last line's end, or a part of it." },
    stderr: { ...OUTPUT, description: "The same of standard error." },
    xdp: { type: "string", description: "An interface: a program is attached there." },
    program: { type: "string", description: "The program's name." },
    verdict: { type: "string", pattern: "^(ABORTED|DROP|PASS|TX|REDIRECT)$", description: "Counted by our programs." },
    "at-least": { ...COUNT, description: "Packets with this verdict; 1 by default." },
    "at-most": COUNT,
    map: { type: "string", description: "A map: NAME, INTERFACE/NAME or the kernel's id." },
    key: { ...PLAIN, description: "A number, text, or fields." },
    value: { ...PLAIN, description: "What is there under the key; of fields, those that are given." },
    at: { type: "string", description: "MACHINE:INTERFACE, or a bridge, where packets are looked for." },
    seen: { type: "string", description: "A packet that this filter (tcpdump's language) matches goes by." },
    to: { type: "string", description: "The machine that receives, for `throughput`." },
    throughput: {
      type: "string",
      pattern: "^[0-9]+(\\.[0-9]+)?[kmg]?bit$",
      patternErrorMessage: "a throughput is written as 800kbit, 100mbit or 1.5gbit (bits a second)",
      description: "TCP carries at least this much, of payload.",
    },
    for: { ...DURATION, description: "How long it is measured; 1s by default." },
  },
  additionalProperties: false,
} as const;
