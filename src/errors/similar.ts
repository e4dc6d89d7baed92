// SPDX-License-Identifier: MIT

/** Edit distance with transpositions (optimal string alignment), capped: returns `limit + 1` when it is larger. */
export function editDistance(a: string, b: string, limit = 2): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return Math.min(previous[b.length] ?? limit + 1, limit + 1);
}

/** The candidate nearest to `word` within edit distance 2, for "did you mean". */
export function similar(word: string, candidates: Iterable<string>, limit = 2): string | undefined {
  let best: string | undefined;
  let distance = limit + 1;
  for (const candidate of candidates) {
    const d = editDistance(word, candidate, limit);
    if (d < distance && d <= word.length && d < Math.max(word.length, candidate.length)) {
      best = candidate;
      distance = d;
    }
  }
  return best;
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const hit = similar(word, candidates);
  return hit === undefined ? "" : ` (did you mean ${hit}?)`;
}
