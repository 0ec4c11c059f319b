// SPDX-License-Identifier: Apache-2.0

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX = "sealed.";

/**
 * Texts that their holder is to give back but not to read: where a page ends is the name of a document, which need not be the reader's
 * own. AES-256-GCM; without a key of its own good for as long as the process lives.
 */
export class SealedText {
  readonly #key: Uint8Array;
  readonly #older: readonly Uint8Array[];

  /** Keys have 32 bytes; `older` ones open what they sealed, and seal no more. */
  constructor(key: Uint8Array = randomBytes(KEY_BYTES), ...older: readonly Uint8Array[]) {
    this.#key = key;
    this.#older = older;
  }

  /** Whether there are keys that seal no more. */
  get hasOlder(): boolean {
    return this.#older.length > 0;
  }

  /** Whether it has the same keys. */
  equals(other: SealedText): boolean {
    const [own, others] = [this, other].map((one) => [one.#key, ...one.#older]);
    return isDeepStrictEqual(own, others);
  }

  seal(text: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64url");
  }

  /** The text of a sealed one; undefined for anything else. */
  open(sealed: string): string | undefined {
    for (const key of [this.#key, ...this.#older]) {
      const text = openWith(key, sealed);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /** Sealed with the key of now where an older one sealed it; as it is otherwise, and where no key opens it. */
  renewed(sealed: string): string {
    if (this.#older.length === 0 || openWith(this.#key, sealed) !== undefined) return sealed;
    const text = this.open(sealed);
    return text === undefined ? sealed : this.seal(text);
  }
}

function openWith(key: Uint8Array, sealed: string): string | undefined {
  if (!sealed.startsWith(PREFIX)) return undefined;
  const bytes = Buffer.from(sealed.slice(PREFIX.length), "base64url");
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    const body = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([body, decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}
