// SPDX-License-Identifier: Apache-2.0

import { EdnsOption } from "./edns.ts";

/** Bytes of a client's cookie and the server's (RFC 9018 §4). */
export const WHOLE_COOKIE_BYTES = 24;
const HEADER_BYTES = 12;
/** Type and class of a question behind the root label. */
const QUESTION_END_BYTES = 5;
const OPT_BYTES = 11;
const TYPE_OPT = 41;
const LABELS_MAX = 128;
const OPTIONS_MAX = 16;

/**
 * Where a whole cookie's data lies in a query, −1 where there is none: without decoding the rest, for who has no time for it. The OPT record
 * is looked for where nearly all have it, right behind the question.
 */
export function findWholeCookie(input: Uint8Array, start: number, end: number): number {
  let at = start + HEADER_BYTES;
  for (let label = 0; label < LABELS_MAX && at < end && input[at] !== 0; label++)
    at += input[at]! + 1;
  at += QUESTION_END_BYTES;
  if (at + OPT_BYTES > end || input[at] !== 0 || u16(input, at + 1) !== TYPE_OPT) return -1;
  const dataEnd = Math.min(end, at + OPT_BYTES + u16(input, at + 9));
  at += OPT_BYTES;
  for (let option = 0; option < OPTIONS_MAX && at + 4 <= dataEnd; option++) {
    const bytes = u16(input, at + 2);
    const isCookie = u16(input, at) === EdnsOption.cookie && bytes === WHOLE_COOKIE_BYTES;
    if (isCookie && at + 4 + bytes <= dataEnd) return at + 4;
    at += 4 + bytes;
  }
  return -1;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
