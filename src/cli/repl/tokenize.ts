// SPDX-License-Identifier: MIT

export interface Token {
  text: string;
  /** Where it starts and ends in the line. */
  start: number;
  end: number;
}

export interface Tokens {
  tokens: Token[];
  /** The quote that is still open at the end of the line. */
  open: string | undefined;
}

/**
 * Splits a line into words as a shell does: spaces separate, quotes and backslashes join, ` #` starts a comment. Nothing
 * is expanded.
 */
export function tokenize(line: string): Tokens {
  const tokens: Token[] = [];
  let word: Token | undefined;
  let open: string | undefined;
  const add = (text: string, at: number): void => {
    word ??= { text: "", start: at, end: at };
    word.text += text;
  };
  const finish = (at: number): void => {
    if (word === undefined) return;
    word.end = at;
    tokens.push(word);
    word = undefined;
  };
  let i = 0;
  for (; i < line.length; i++) {
    const c = line[i] ?? "";
    if (open !== undefined) {
      if (c === open) open = undefined;
      else if (c === "\\" && open === '"' && /["\\]/.test(line[i + 1] ?? "")) add(line[++i] ?? "", i - 1);
      else add(c, i);
    } else if (c === "'" || c === '"') {
      add("", i);
      open = c;
    } else if (c === "\\" && i + 1 < line.length) {
      add(line[i + 1] ?? "", i);
      i++;
    } else if (/\s/.test(c)) finish(i);
    else if (c === "#" && word === undefined) break;
    else add(c, i);
  }
  finish(i);
  return { tokens, open };
}
