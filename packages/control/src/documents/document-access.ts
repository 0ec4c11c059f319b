// SPDX-License-Identifier: Apache-2.0

import type { AccessTarget } from "../access/caller.ts";
import type { DocumentKey } from "../store/store.ts";
import { member } from "./document-key.ts";

/** What rules of access look at in a document. */
export function accessTargetOf(key: DocumentKey, raw: unknown): AccessTarget {
  const spec = member(raw, "spec");
  const domain =
    key.kind === "Zone"
      ? member(spec, "origin")
      : key.kind === "Record" || key.kind === "RecordSet"
        ? member(spec, "name")
        : undefined;
  return {
    kind: key.kind,
    namespace: key.namespace,
    labels: textsOf(member(member(raw, "metadata"), "labels")),
    ...(typeof domain === "string" ? { domain } : {}),
  };
}

function textsOf(raw: unknown): Record<string, string> {
  if (typeof raw !== "object" || raw === null) return {};
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => typeof value === "string"));
}
