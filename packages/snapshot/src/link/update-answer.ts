// SPDX-License-Identifier: Apache-2.0

// What control answers an edge that hands a dynamic update on (RFC 2136): JSON {rcode, ede, text}.

/** An rcode, and why. */
export interface UpdateAnswer {
  readonly rcode: number;
  /** Of RFC 8914. */
  readonly ede: number;
  /** Empty where the rcode says it all. */
  readonly text: string;
}

/** Of an answer so much is read. */
export const UPDATE_ANSWER_BYTES_MAX = 4096;
/** Longest update that is handed on. */
export const UPDATE_BYTES_MAX = 65_535;
/** An update that takes longer is answered SERVFAIL, though it may be done yet. */
export const UPDATE_MS_MAX = 8000;
/** Header that says who sent the update. */
export const UPDATE_CLIENT_HEADER = "meridian-client";

export function encodeUpdateAnswer({ rcode, ede, text }: UpdateAnswer): string {
  return JSON.stringify({ rcode, ede, text });
}

/** The answer in a text; undefined where it is none. */
export function decodeUpdateAnswer(body: string): UpdateAnswer | undefined {
  try {
    const raw: unknown = JSON.parse(body);
    return isAnswer(raw) ? { rcode: raw.rcode, ede: raw.ede, text: raw.text } : undefined;
  } catch {
    return undefined;
  }
}

function isAnswer(raw: unknown): raw is UpdateAnswer {
  if (typeof raw !== "object" || raw === null) return false;
  const isCount = (name: string): boolean => Number.isSafeInteger(Reflect.get(raw, name));
  return isCount("rcode") && isCount("ede") && typeof Reflect.get(raw, "text") === "string";
}
