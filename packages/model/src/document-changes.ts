// SPDX-License-Identifier: Apache-2.0
// How the documents of some files differ from what these files held before.
import { type Document, documentIdOf, formatDocumentId } from "./documents.ts";
import type { FilePart } from "./parse.ts";

/** Documents that came, went, or are other than they were; another place is no change. */
export interface DocumentChanges {
  readonly added: readonly Document[];
  readonly changed: readonly { readonly before: Document; readonly after: Document }[];
  readonly removed: readonly Document[];
}

/** A document that is put together where it is needed: of 50,000 Records in a file few have changed. */
interface Entry {
  /** Equal for equal documents. */
  readonly text: string;
  readonly document: () => Document;
}

/** Compares what files held with what they hold; undefined where one of these documents is there twice. */
export function documentChanges(
  before: readonly FilePart[],
  after: readonly FilePart[],
): DocumentChanges | undefined {
  const old = entriesOf(before);
  const now = entriesOf(after);
  if (old === undefined || now === undefined) return undefined;
  const added: Document[] = [];
  const changed: DocumentChanges["changed"][number][] = [];
  for (const [id, entry] of now) {
    const known = old.get(id);
    if (known === undefined) added.push(entry.document());
    else if (known.text !== entry.text)
      changed.push({ before: known.document(), after: entry.document() });
  }
  const removed = [...old].flatMap(([id, entry]) => (now.has(id) ? [] : [entry.document()]));
  return { added, changed, removed };
}

function entriesOf(parts: readonly FilePart[]): Map<string, Entry> | undefined {
  const entries = new Map<string, Entry>();
  let count = 0;
  for (const { documents, records, start, end } of parts) {
    count += documents.length + end - start;
    for (const document of documents) {
      const { source: _, ...rest } = document;
      const text = JSON.stringify(rest);
      entries.set(formatDocumentId(documentIdOf(document)), { text, document: () => document });
    }
    const shapes = new Map<number, { readonly text: string; readonly namespace: string }>();
    for (let record = start; record < end; record += 1) {
      const number = records.shapeAt(record);
      let shape = shapes.get(number);
      if (shape === undefined) {
        const found = records.shapes[number];
        const namespace = found?.metadata.namespace ?? "";
        shapes.set(number, (shape = { text: JSON.stringify(found), namespace }));
      }
      const { namespace } = shape;
      const id = formatDocumentId({ kind: "Record", namespace, name: records.nameText(record) });
      const text = `${records.ownerText(record)} ${shape.text}`;
      entries.set(id, { text, document: () => records.document(record) });
    }
  }
  return entries.size === count ? entries : undefined;
}
