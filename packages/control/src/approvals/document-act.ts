// SPDX-License-Identifier: Apache-2.0

// A change of documents as change policies look at it: what is there, and what is to be.

import { accessVerbs, type AccessVerb, type TokenDocument } from "@meridian/model";
import { accessTargetOf } from "../documents/document-access.ts";
import { differences } from "../documents/document-diff.ts";
import { fieldsOf, formatKey, isDocumentKind, member } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";
import type { Write } from "../store/store.ts";
import type { Act, ActTarget } from "./act.ts";

/** `set` is what is there before. */
export function documentAct(verb: string, writes: readonly Write[], set: DocumentSet): Act {
  const about = writes
    .filter(({ key }) => isDocumentKind(key.kind))
    .map(({ key, text }) => ({ key, name: formatKey(key), text, before: set.get(key)?.text }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const own = accessVerbs.find((each) => each === verb);
  return {
    verb,
    targets: about.flatMap(({ key, name, text, before }): ActTarget[] => {
      const verbs: AccessVerb[] = [text === undefined ? "delete" : "apply"];
      if (own !== undefined && !verbs.includes(own)) verbs.push(own);
      // A label that is to go, or to come, is one all the same.
      return [before, text].flatMap((each) =>
        each === undefined ? [] : [{ ...accessTargetOf(key, JSON.parse(each)), verbs, name }],
      );
    }),
    content: about.map(({ name, text }) => [name, text === undefined ? null : plain(text)]),
    changes: about.map(({ name, text, before }) => ({
      document: name,
      differences: differences(
        before === undefined ? undefined : shownPlain(before),
        text === undefined ? undefined : shownPlain(text),
      ),
    })),
  };
}

/** The making of a token. Name, secret and end are others each time that it is tried; what is asked for is not. */
export function tokenAct({ kind, spec: { subject, roles } }: TokenDocument, lengthMs: number): Act {
  const content = { subject, roles, lengthMs };
  const name = `Token for ${subject}`;
  return {
    verb: "token",
    targets: [{ ...{ kind, namespace: "", name }, verbs: ["apply", "token"] }],
    ...{ content, changes: [{ document: name, ...content }] },
  };
}

/** The hash of a token is nobody's business. */
function shownPlain(text: string): object {
  const raw = plain(text);
  if (member(raw, "kind") !== "Token") return raw;
  const { hash: _hash, ...spec } = fieldsOf(member(raw, "spec"));
  return { ...raw, spec };
}

function plain(text: string): object {
  return plainDocument(JSON.parse(text));
}
