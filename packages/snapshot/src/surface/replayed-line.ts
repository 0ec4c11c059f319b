// SPDX-License-Identifier: Apache-2.0
import { decodeMessage, formatMessage } from "@meridian/dns";

/** What came of asking a logged query again. */
export interface ReplayedLine {
  readonly answer: Uint8Array;
  readonly logged: Uint8Array;
  readonly isEqual: boolean;
  /** The decision looked at more of the client's address than the log keeps. */
  readonly isCut: boolean;
}

/** What the API and `meridian explain --replay` give. */
export function replayAnswer({ answer, logged, isEqual, isCut }: ReplayedLine): object {
  const verdict = isEqual
    ? "The answer is the logged one, byte for byte."
    : isCut
      ? "The answer differs: the decision looked at more of the client's address than the log keeps."
      : "The answer differs from the logged one.";
  const texts = [answer, ...(isEqual ? [] : [logged])].map((bytes) => {
    const message = decodeMessage(bytes);
    return "error" in message ? `(${message.error})` : formatMessage(message);
  });
  return {
    equal: isEqual,
    isCut,
    answer: Buffer.from(answer).toString("hex"),
    text: [
      verdict,
      "",
      ...texts.flatMap((text, index) => (index === 0 ? [text] : ["", "logged:", text])),
    ].join("\n"),
  };
}
