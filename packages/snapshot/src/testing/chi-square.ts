// SPDX-License-Identifier: Apache-2.0

/** Standard normal quantile of 1 − 10⁻⁶. */
const Z = 4.7534;

/**
 * True where counts contradict the stated chances at α = 10⁻⁶ (chi-square, Wilson-Hilferty quantile). Outcomes expected fewer than five
 * times are pooled; an outcome that was said to be impossible contradicts at once.
 */
export function chiSquareExceeds(
  counts: ReadonlyMap<string, number>,
  chances: ReadonlyMap<string, number>,
  total: number,
): boolean {
  for (const [key, seen] of counts) if (seen > 0 && (chances.get(key) ?? 0) < 1e-12) return true;
  let statistic = 0;
  let cells = 0;
  let rareSeen = 0;
  let rareExpected = 0;
  for (const [key, chance] of chances) {
    const expected = chance * total;
    const seen = counts.get(key) ?? 0;
    if (expected < 5) {
      rareSeen += seen;
      rareExpected += expected;
      continue;
    }
    statistic += (seen - expected) ** 2 / expected;
    cells += 1;
  }
  if (rareExpected >= 5) {
    statistic += (rareSeen - rareExpected) ** 2 / rareExpected;
    cells += 1;
  } else if (rareSeen > rareExpected + 10 * Math.sqrt(rareExpected + 1) + 10) {
    return true;
  }
  const freedom = cells - 1;
  if (freedom < 1) return false;
  const part = 2 / (9 * freedom);
  return statistic > freedom * (1 - part + Z * Math.sqrt(part)) ** 3;
}
