// SPDX-License-Identifier: MIT

/** A name or value as it is shown in a message: quotes, spaces and newlines are visible. */
export function shown(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not reach a terminal
  const plain = /^[^\s"\\\u0000-\u001f\u007f]+$/.test(text);
  const quoted = plain ? `\`${text}\`` : JSON.stringify(text);
  return quoted.length > 60 ? `${quoted.slice(0, 56)}…${plain ? "`" : '"'}` : quoted;
}
