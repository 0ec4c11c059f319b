// SPDX-License-Identifier: Apache-2.0

// Secrets on their way to an edge, and on its disk: sealed to the key of its certificate (hpke.ts) and bound to its name. Whoever has the
// bytes, and even the keys of the connection, has none of them without that key.

import type { KeyObject } from "node:crypto";
import { FrameKind, encodeFrame } from "./frame.ts";
import { hpkeOpen, hpkeSeal, type HpkeContext } from "./hpke.ts";

/** One message of kind `secrets`: the values by name, for the owner of a certificate's key. */
export function encodeSecrets(
  edge: string,
  key: KeyObject,
  secrets: ReadonlyMap<string, string>,
): Uint8Array {
  return encodeFrame({ kind: FrameKind.secrets, payload: sealSecrets(edge, key, secrets) });
}

/** Under this name, which is none of a zone, `encodeSigning()` has the secrets of cookies: hexadecimal digits, with a space between them. */
export const COOKIE_SECRETS = "cookie secrets";

/** One message of kind `signing`: what an edge signs with, all of it, by origin (`encodeSigningMaterial()`). */
export function encodeSigning(
  edge: string,
  key: KeyObject,
  materials: ReadonlyMap<string, string>,
): Uint8Array {
  return encodeFrame({ kind: FrameKind.signing, payload: sealSecrets(edge, key, materials) });
}

/** The values without a frame, as they lie on disk. */
export function sealSecrets(
  edge: string,
  key: KeyObject,
  secrets: ReadonlyMap<string, string>,
): Uint8Array {
  const text = JSON.stringify(Object.fromEntries(secrets));
  return hpkeSeal(key, contextOf(edge), new TextEncoder().encode(text));
}

/** What was sealed for this edge and key; undefined for anything else. */
export function openSecrets(
  edge: string,
  key: KeyObject,
  sealed: Uint8Array,
): ReadonlyMap<string, string> | undefined {
  const content = hpkeOpen(key, contextOf(edge), sealed);
  if (content === undefined) return undefined;
  const raw: unknown = JSON.parse(new TextDecoder().decode(content));
  return new Map(
    Object.entries(typeof raw === "object" && raw !== null ? raw : {}).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, value] as const] : [],
    ),
  );
}

function contextOf(edge: string): HpkeContext {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  return { info: bytes("Meridian secrets 1"), aad: bytes(edge) };
}
