// SPDX-License-Identifier: Apache-2.0

// The keys that every replica of a control plane has in a file or in its environment, and with which it seals what must not lie in the
// store in clear. The first seals, each of them opens what it sealed: so one follows another while both are there.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
import { writeDurably } from "@meridian/snapshot/disk";
import { SealedText } from "../http/sealed-text.ts";

const KEY_BYTES = 32;
const KEYS_MAX = 4;
const FORM = /^[A-Za-z0-9+/]{43}=$/;

/** Where keys are: the path of a file, or the value of an environment variable. */
export type KeyPlace = string | { readonly variable: string; readonly text: string };

/**
 * Reads 1 to 4 keys, 32 bytes in base64 each, with white space between them. Where there is no file and `mayMake`, one is made (0600). Throws
 * SEALING_KEY_INVALID where there is none, or something else.
 */
export function sealingKeys(
  place: KeyPlace,
  mayMake: boolean,
): readonly [Uint8Array, ...Uint8Array[]] {
  if (typeof place === "string" && mayMake && !existsSync(place)) {
    mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
    writeDurably(place, `${newKey()}\n`);
  }
  const texts = textAt(place)
    .split(/\s+/)
    .filter((text) => text !== "");
  const [first, ...others] = texts.map((text) => Buffer.from(text, "base64"));
  if (first === undefined || texts.length > KEYS_MAX || !texts.every((text) => FORM.test(text)))
    throw invalid(
      place,
      `it has ${texts.length} words of ${texts.map((text) => text.length).join(", ")} characters, expected 1 to ${KEYS_MAX} keys of 32 bytes in base64`,
    );
  return [first, ...others];
}

/** What seals and opens with the keys of a place. Throws as `sealingKeys()`. */
export function sealOf(place: KeyPlace, mayMake: boolean): SealedText {
  return new SealedText(...sealingKeys(place, mayMake));
}

/** Puts a new key first in a file that has some: how many there are now. Throws as `sealingKeys()`, and where there is no room for one. */
export function addSealingKey(path: string): number {
  const keys = sealingKeys(path, false);
  if (keys.length === KEYS_MAX)
    throw invalid(path, `it has ${KEYS_MAX} keys, expected fewer; delete the last line`);
  const texts = keys.map((key) => Buffer.from(key).toString("base64"));
  writeDurably(path, `${[newKey(), ...texts].join("\n")}\n`);
  return texts.length + 1;
}

function newKey(): string {
  return randomBytes(KEY_BYTES).toString("base64");
}

/** What was sealed with another key cannot be opened with those of this place. */
export function foreignKey(place: KeyPlace): MeridianError {
  return invalid(
    place,
    "what the store holds is sealed with another one; copy the file from a control of this store",
  );
}

function textAt(place: KeyPlace): string {
  if (typeof place !== "string") return place.text;
  try {
    return readFileSync(place, "utf8");
  } catch (error) {
    throw invalid(place, `${reasonOf(error)}; copy the file from a control of this store`);
  }
}

function invalid(place: KeyPlace, reason: string): MeridianError {
  const what = typeof place === "string" ? `key file "${place}"` : `keys of ${place.variable}`;
  return new MeridianError("SEALING_KEY_INVALID", "user", `Cannot use the ${what}: ${reason}`);
}
