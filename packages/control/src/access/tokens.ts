// SPDX-License-Identifier: Apache-2.0

// Bearer tokens: `mrd_NAME_SECRET`. NAME finds the Token document, which holds the SHA-256 of SECRET alone: 256 random bits need no salt
// and no slow hash, and whoever reads the store has none of them.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import {
  apiVersion,
  isStoreKind,
  parseStoreDocument,
  type RoleRule,
  type TokenDocument,
} from "@meridian/model";
import { plainDocument } from "../documents/document-text.ts";
import type { DocumentKey, StoredDocument } from "../store/store.ts";
import { builtinRoles } from "./caller.ts";

const SECRET_BYTES = 32;
const NAME_BYTES = 5;
const FORM = /^mrd_([0-9a-f]{10})_([A-Za-z0-9_-]{43})$/;

/** A token as it is made: the secret is shown once and kept nowhere. */
export interface NewToken {
  readonly document: TokenDocument;
  readonly secret: string;
}

export function newToken(subject: string, roles: readonly string[], expiresAtMs: number): NewToken {
  const name = randomBytes(NAME_BYTES).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const document: TokenDocument = {
    apiVersion,
    kind: "Token",
    metadata: { name },
    spec: {
      subject,
      roles: [...roles],
      hash: hashOf(secret),
      expiresAt: new Date(expiresAtMs).toISOString(),
    },
  };
  return { document, secret: `mrd_${name}_${secret}` };
}

/** Where tokens and roles are looked up. */
export interface AccessDocuments {
  get(key: DocumentKey): Pick<StoredDocument, "text"> | undefined;
}

/** What a bearer token stands for, or why it is not taken. The text of a token never gets into a message. */
export function readToken(
  text: string,
  documents: AccessDocuments,
  nowMs: number,
):
  | { readonly name: string; readonly subject: string; readonly rules: readonly RoleRule[] }
  | string {
  const [, name = "", secret = ""] = FORM.exec(text) ?? [];
  if (name === "") return "it has another form than Meridian's";
  const document = accessDocument(documents, "Token", name);
  if (document?.kind !== "Token") return "it is not one of this server, or was revoked";
  const given = Buffer.from(hashOf(secret), "hex");
  if (!timingSafeEqual(given, Buffer.from(document.spec.hash, "hex")))
    return "it is not one of this server, or was revoked";
  if (Date.parse(document.spec.expiresAt) <= nowMs)
    return `it expired at ${document.spec.expiresAt}`;
  return { name, subject: document.spec.subject, rules: rulesOf(document.spec.roles, documents) };
}

/** The rules of roles; one that is not there allows nothing. */
export function rulesOf(roles: readonly string[], documents: AccessDocuments): RoleRule[] {
  return roles.flatMap((name) => {
    const builtin = Object.hasOwn(builtinRoles, name) ? builtinRoles[name] : undefined;
    if (builtin !== undefined) return builtin;
    const document = accessDocument(documents, "Role", name);
    return document?.kind === "Role" ? document.spec.rules : [];
  });
}

function accessDocument(
  documents: AccessDocuments,
  kind: "Role" | "Token",
  name: string,
): ReturnType<typeof parsed> {
  const stored = documents.get({ kind, namespace: "", name });
  return stored === undefined ? undefined : parsed(kind, stored.text);
}

function parsed(kind: string, text: string) {
  if (!isStoreKind(kind)) return undefined;
  const result = parseStoreDocument(kind, plainDocument(JSON.parse(text)));
  return "document" in result ? result.document : undefined;
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
