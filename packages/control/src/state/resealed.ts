// SPDX-License-Identifier: Apache-2.0
import type { DocumentSet } from "../documents/document-set.ts";
import type { SealedText } from "../http/sealed-text.ts";
import type { StateKind, StateWrite } from "./state-documents.ts";

/** A sealed text in the JSON of a state document. */
const SEALED = /(?<=")sealed\.[\w-]+(?=")/g;
/** Written at once: of the rest the next look has some more. */
const WRITES_MAX = 100;

/** State in which something is sealed. */
export const sealedKinds: readonly StateKind[] = ["Authority", "CookieSecrets", "ZoneKeys"];

/** Writes that seal with the key of now what older ones have sealed. */
export function resealed(
  kind: StateKind,
  documents: DocumentSet,
  seal: SealedText,
): readonly StateWrite[] {
  const writes: StateWrite[] = [];
  for (const { key, text, revision } of documents.ofKind(kind)) {
    const renewed = text.replaceAll(SEALED, (sealed) => seal.renewed(sealed));
    if (renewed === text) continue;
    writes.push({ kind, name: key.name, text: renewed, ifRevision: revision });
    if (writes.length === WRITES_MAX) break;
  }
  return writes;
}
