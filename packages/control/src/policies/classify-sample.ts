// SPDX-License-Identifier: Apache-2.0

// What the tests of the compile halves share: from a draft to an opened classifier, from text to a client.

import assert from "node:assert/strict";
import { Classifier, Client, LocationMap, openSection, type Place } from "@meridian/snapshot";
import {
  type AddressPrefix,
  type ClassifierDraft,
  LocationMapWriter,
  parsePrefix,
  writeClassifier,
} from "@meridian/snapshot/writer";

/** The client of an address or prefix. */
export function clientOf(prefix: AddressPrefix | string): Client {
  const parsed = typeof prefix === "string" ? parsePrefix(prefix) : prefix;
  assert.ok(parsed !== undefined, "the text is a prefix");
  const client = new Client();
  client.family = parsed.family;
  client.prefixLength = parsed.length;
  [client.word0, client.word1, client.word2, client.word3] = parsed.words;
  return client;
}

/** A location map of places by prefix. */
export function mapOf(places: Readonly<Record<string, Place>>): LocationMap {
  const writer = new LocationMapWriter(1n);
  for (const [text, place] of Object.entries(places)) {
    const prefix = parsePrefix(text);
    assert.ok(prefix !== undefined, text);
    writer.add(prefix, writer.location(place));
  }
  const section = openSection(writer.finish().buffer);
  assert.ok(!("error" in section), "the map opens");
  return LocationMap.open(section);
}

/** A draft written and opened again. */
export function classifierOf(draft: ClassifierDraft): Classifier {
  const section = openSection(writeClassifier(draft).buffer);
  assert.ok(!("error" in section), "the classifier opens");
  return Classifier.open(section, () => draft.locations?.map);
}

/** Branches of a client, best first. */
export function orderOf(classifier: Classifier, client: Client | AddressPrefix | string): number[] {
  const cls = classifier.classify(client instanceof Client ? client : clientOf(client));
  const start = classifier.orderStart(cls);
  return [...classifier.orders.subarray(start, start + classifier.orderCount(cls))];
}

/** Addresses that a comparison with a twin draws: 100,000, or a million where MERIDIAN_LONG is set. */
export const TWIN_ADDRESSES: number = process.env["MERIDIAN_LONG"] === "1" ? 1_000_000 : 100_000;
