// SPDX-License-Identifier: Apache-2.0

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration such as `250ms`, `10s`, `5m` or `72h`, or undefined where the text is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^([0-9]{1,9})(ms|s|m|h)$/.exec(text);
  const unit = unitMs[match?.[2] ?? ""];
  if (match?.[1] === undefined || unit === undefined) return undefined;
  return Number(match[1]) * unit;
}

/** The shortest duration text of one unit that says `ms` exactly. */
export function formatDuration(ms: number): string {
  for (const unit of ["h", "m", "s"]) {
    const size = unitMs[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${Math.round(ms)}ms`;
}
