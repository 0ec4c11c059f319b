// SPDX-License-Identifier: Apache-2.0

/** What is wrong with a piece of presentation text; the caller adds where it was found. */
export interface TextError {
  /** One sentence part, such as `preference is "x", expected 0..65535`. */
  readonly error: string;
  /** The text found, as written. */
  readonly found: string;
  /** What would have been right. */
  readonly wanted: string;
  /** Index of the field at fault, where the text has fields. */
  readonly field?: number;
}

/** Why a text is not a domain name. */
export type NameError = TextError;

const FOUND_CHARS_MAX = 80;

/** Builds a TextError; `found` is cut to 80 characters so that a bad file cannot flood a log. */
export function textError(what: string, found: string, wanted: string, field?: number): TextError {
  const shown = found.length > FOUND_CHARS_MAX ? `${found.slice(0, FOUND_CHARS_MAX)}…` : found;
  const error = `${what} is ${JSON.stringify(shown)}, expected ${wanted}`;
  return field === undefined
    ? { error, found: shown, wanted }
    : { error, found: shown, wanted, field };
}
