// SPDX-License-Identifier: MIT

export interface VerifierSummary {
  /** `filter.bpf.c:31  if (eth->h_proto == bpf_htons(ETH_P_IP))`, where the log has source lines. */
  source?: string;
  /** What the program did wrong, in one line. */
  reason: string;
  hint?: string;
}

const INSTRUCTION = /^\s*\d+: \([0-9a-f]{2}\) /;
const STATE = /^\s*(from \d+ to )?\d+: |^(R\d+|fp|frame\d*|func#\d+|last_idx|regs=|parent |mark_precise|propagating)/;
const CLOSING =
  /^(processed \d+ insns|verification time|stack depth|max_states|peak_states|-- END|-- BEGIN|prog '|Failed to load|libbpf:)/;

const KNOWN: readonly [RegExp, (m: RegExpExecArray) => string, string?][] = [
  [
    /^invalid access to packet, off=(-?\d+) size=(\d+), R\d+\(id=\d+,off=(-?\d+),r=(\d+)\)/,
    (m) => `reads ${m[2]} bytes at offset ${m[1]} of the packet, but only ${m[4]} bytes were checked against data_end`,
    "compare the end of what is read with `data_end` first, as in `if (data + sizeof(*eth) > data_end)`",
  ],
  [
    /'?(map_value_or_null|ptr_or_null_?\w*)'?/,
    () => "uses the result of a map look-up that may be NULL",
    "test the pointer that bpf_map_lookup_elem() returned before using it",
  ],
  [
    /^R(\d+) !read_ok/,
    (m) => `reads register R${m[1]} before anything was written to it`,
    "set the variable, or return a value on every path",
  ],
  [/^(back-edge|infinite loop)/, () => "has a loop without a known end", "give the loop a constant bound"],
  [
    /(too many|The sequence of) .*(jumps|insn)|too complex|too large/i,
    () => "is too large or too complex to verify",
    "shorten loops, or split the program",
  ],
  [
    /^(unknown func|invalid func|program of this type cannot use helper)\s*(.*)/,
    (m) => `calls a helper that this kernel or program type does not offer: ${m[2]}`,
  ],
  [
    /^invalid (?:read|write|indirect)?.*stack/i,
    (m) => `${m[0]}`,
    "initialise the variable before it is passed to a helper",
  ],
];

function known(line: string): { reason: string; hint?: string } {
  for (const [pattern, text, hint] of KNOWN) {
    const match = pattern.exec(line);
    if (match !== null) return { reason: text(match), ...(hint === undefined ? {} : { hint }) };
  }
  return { reason: line };
}

/** One line out of the verifier's log, in its old form and that of Linux 7.3 (`Verification failed: …`). */
export function summarise(log: string): VerifierSummary {
  const lines = log.split("\n").map((line) => line.trimEnd());
  return newForm(lines) ?? oldForm(lines);
}

function newForm(lines: readonly string[]): VerifierSummary | undefined {
  const start = lines.findIndex((line) => line.startsWith("Verification failed:"));
  if (start < 0) return undefined;
  const field = (name: string): string | undefined => {
    const line = lines.slice(start).find((l) => l.trimStart().startsWith(`${name}:`));
    return line?.slice(line.indexOf(":") + 1).trim();
  };
  const source = field("At");
  const hint = field("Suggestion");
  return {
    reason: field("Reason") ?? lines[start]?.slice("Verification failed:".length).trim() ?? "rejected",
    ...(source === undefined || source === "" ? {} : { source }),
    ...(hint === undefined || hint === "" ? {} : { hint }),
  };
}

function oldForm(lines: readonly string[]): VerifierSummary {
  let end = lines.length;
  while (end > 0) {
    const line = lines[end - 1] ?? "";
    if (line !== "" && !CLOSING.test(line)) break;
    end--;
  }
  let first = end;
  while (first > 0) {
    const line = lines[first - 1] ?? "";
    if (line.startsWith(";") || INSTRUCTION.test(line) || (STATE.test(line) && !/^R\d+ (!read_ok|\w+ )/.test(line)))
      break;
    first--;
  }
  const said = lines.slice(first, end).filter((line) => line !== "");
  const source = lines
    .slice(0, end)
    .reverse()
    .find((line) => line.startsWith("; "));
  const best =
    said.map(known).find((k) => k.hint !== undefined) ??
    known(said[0] ?? lines[end - 1] ?? "rejected without a reason");
  return { ...best, ...(source === undefined ? {} : { source: sourceLine(source) }) };
}

/** `; if (x) @ filter.bpf.c:31` becomes `filter.bpf.c:31  if (x)`. */
function sourceLine(line: string): string {
  const match = /^; (.*) @ (.*):(\d+)$/.exec(line);
  return match === null ? line.slice(2) : `${match[2]}:${match[3]}  ${match[1]}`;
}
