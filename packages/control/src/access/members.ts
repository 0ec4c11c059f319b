// SPDX-License-Identifier: Apache-2.0

// Roles of those who prove who they are without a token of Meridian's own: each Role names its members.

import { parseStoreDocument, type RoleMember, type RoleRule } from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";

interface MemberRole {
  readonly members: readonly RoleMember[];
  readonly rules: readonly RoleRule[];
}

/** Where roles are looked up. */
export type RoleDocuments = Pick<DocumentSet, "ofKind">;

export class Members {
  /** Sets of documents are values: the roles of one are read once. */
  readonly #roles = new WeakMap<RoleDocuments, readonly MemberRole[]>();

  /** The rules of every role that has one of `proofs` among its members. */
  rulesOf(proofs: readonly RoleMember[], documents: RoleDocuments): RoleRule[] {
    const roles = this.#roles.get(documents) ?? rolesOf(documents);
    this.#roles.set(documents, roles);
    return roles.flatMap(({ members, rules }) =>
      members.some((member) => proofs.some((proof) => isSame(member, proof))) ? rules : [],
    );
  }
}

function rolesOf(documents: RoleDocuments): MemberRole[] {
  return [...documents.ofKind("Role")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("Role", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "Role" ? [parsed.document.spec] : [];
  });
}

function isSame(a: RoleMember, b: RoleMember): boolean {
  return a.group === b.group && a.subject === b.subject && a.certificate === b.certificate;
}
