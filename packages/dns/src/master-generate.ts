// SPDX-License-Identifier: Apache-2.0
//
// $GENERATE, BIND's shorthand for records that differ by a number: `$GENERATE 1-20/2 host-$ A 192.0.2.$`. `$` stands for the number,
// `\$` for the character, `${OFFSET,WIDTH,BASE}` for the number plus an offset, padded with zeros, in base d, o, x, X, or n and N for
// hexadecimal digits from the last to the first with dots between them (names below ip6.arpa).

/** The numbers that a directive goes through, both ends among them. */
export interface GenerateRange {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

const NUMBER_MAX = 2_147_483_647;
const WIDTH_MAX = 63;

/** `START-STOP` or `START-STOP/STEP`, or undefined. */
export function parseRange(text: string): GenerateRange | undefined {
  const match = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(text);
  if (match === null) return undefined;
  const [start = 0, stop = 0, step = 1] = match.slice(1).map((each) => Number(each ?? 1));
  const isRange = start <= stop && stop <= NUMBER_MAX && step >= 1;
  return isRange ? { start, stop, step } : undefined;
}

/** How many records the range makes. */
export function rangeCount({ start, stop, step }: GenerateRange): number {
  return Math.floor((stop - start) / step) + 1;
}

/** The text with the number put in; undefined where a `${…}` in it cannot be read. */
export function expandTemplate(template: string, number: number): string | undefined {
  let isWrong = false;
  const text = template.replaceAll(
    /\\.|\$\{([^}]*)\}|\$\$|\$/gs,
    (found, modifier: string | undefined) => {
      if (found === "\\$" || found === "$$") return "\\$";
      if (found.startsWith("\\")) return found;
      const value = modifier === undefined ? String(number) : modified(number, modifier);
      isWrong ||= value === undefined;
      return value ?? "";
    },
  );
  return isWrong ? undefined : text;
}

/** The number as `OFFSET,WIDTH,BASE` says. */
function modified(number: number, modifier: string): string | undefined {
  const match = /^(-?\d{1,10})(?:,(\d{1,2})(?:,([doxXnN]))?)?$/.exec(modifier);
  if (match === null) return undefined;
  const [, offset, widthText = "0", base = "d"] = match;
  const value = number + Number(offset);
  const width = Number(widthText);
  if (value < 0 || width > WIDTH_MAX) return undefined;
  switch (base) {
    case "o":
      return value.toString(8).padStart(width, "0");
    case "x":
      return value.toString(16).padStart(width, "0");
    case "X":
      return value.toString(16).toUpperCase().padStart(width, "0");
    case "n":
    case "N":
      return nibbles(value, width, base === "N");
    default:
      return String(value).padStart(width, "0");
  }
}

/** Digits from the last on; the width counts the dots, too. */
function nibbles(value: number, width: number, isUpper: boolean): string {
  const digits = value.toString(16).padStart(Math.ceil((width + 1) / 2), "0");
  const text = [...digits].toReversed().join(".");
  return isUpper ? text.toUpperCase() : text;
}
