// SPDX-License-Identifier: MIT

const WORDS = { type: "array", items: { type: "string" }, minItems: 1 } as const;
const CAPABILITIES = {
  type: "array",
  items: {
    type: "string",
    pattern: "^([Cc][Aa][Pp]_)?[A-Za-z][A-Za-z_]*$",
    patternErrorMessage: "a capability is written as NET_ADMIN; ALL means each",
  },
} as const;

/** Settings that machines of the kind `container` have, and no others. */
export const CONTAINER_PROPERTIES = {
  image: {
    type: "string",
    pattern: "^[A-Za-z0-9][A-Za-z0-9._/:@-]*$",
    patternErrorMessage: "an image is named as `xdpctl/host`, `debian:12` or `registry.example/name:tag`",
    description: "The image that the container is made of; it must be here, unless `pull` says otherwise.",
  },
  command: {
    anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
    description:
      "What it runs: a list of words, or a line for its shell; `[]` is the image's own. By default it is kept running.",
  },
  mounts: {
    type: "array",
    items: {
      anyOf: [
        {
          type: "string",
          pattern: "^[^:]+:/[^:]*(:(ro|rw))?$",
          patternErrorMessage: "a mount is written as `./files:/srv` or `./files:/srv:ro`",
        },
        {
          type: "object",
          properties: {
            source: { type: "string" },
            target: { type: "string", pattern: "^/", patternErrorMessage: "a target begins with /" },
            readonly: { type: "boolean" },
          },
          required: ["source", "target"],
          additionalProperties: false,
        },
      ],
    },
    description: "Files and directories of the host; a source is relative to this file.",
  },
  capabilities: {
    type: "object",
    properties: { add: CAPABILITIES, drop: CAPABILITIES },
    additionalProperties: false,
    description: "Beside the engine's own default and NET_ADMIN, NET_RAW; what is dropped is not added.",
  },
  ready: {
    anyOf: [
      { type: "string" },
      WORDS,
      {
        type: "object",
        properties: {
          command: { anyOf: [{ type: "string" }, WORDS] },
          within: {
            type: "string",
            pattern: "^[0-9]+(\\.[0-9]+)?(ms|s|m)$",
            patternErrorMessage: "a time is written as 500ms, 10s or 2m",
          },
        },
        required: ["command"],
        additionalProperties: false,
      },
    ],
    description: "A command in the container: the machine is ready once it succeeds, by default within 10s.",
  },
  pull: {
    type: "string",
    pattern: "^(never|missing)$",
    patternErrorMessage: "`pull` is `never` or `missing`",
    description: "`missing` lets the engine fetch an image that is not here; `never` is the default.",
  },
} as const;
