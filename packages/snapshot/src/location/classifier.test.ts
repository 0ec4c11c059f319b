// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Client } from "../client.ts";
import { openSection, type Section } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { type ClassifierDraft, ClassNumbers, writeClassifier } from "./classifier-writer.ts";
import { Classifier } from "./classifier.ts";
import { LocationMapWriter } from "./location-map-writer.ts";
import { LocationMap } from "./location-map.ts";
import { parsePrefix, wordsOf } from "./prefix.ts";

function open(written: WrittenSection): Section {
  const section = openSection(written.buffer);
  assert.ok(!("error" in section), "the section opens");
  return section;
}

function clientOf(text: string): Client {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined, text);
  const client = new Client();
  client.family = prefix.family;
  client.prefixLength = prefix.length;
  [client.word0, client.word1, client.word2, client.word3] = prefix.words;
  return client;
}

function classifierOf(draft: ClassifierDraft): Classifier {
  const map = draft.locations?.map;
  return Classifier.open(open(writeClassifier(draft)), (key) =>
    key === map?.key ? map : undefined,
  );
}

/** Best-first branches of a client, with the scope. */
function decide(classifier: Classifier, text: string): [order: number[], scope: number] {
  const cls = classifier.classify(clientOf(text));
  const start = classifier.orderStart(cls);
  return [
    [...classifier.orders.slice(start, start + classifier.orderCount(cls))],
    classifier.scope,
  ];
}

function prefixed(text: string, cls: number): ClassifierDraft["prefixes"][number] {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined, text);
  return { prefix, cls };
}

/** A map of 256 /8 blocks, block n in AS n + 1 (so that id n + 1 is block n). */
function blockMap(): LocationMap {
  const writer = new LocationMapWriter(9n);
  for (let block = 0; block < 256; block++) {
    writer.ranges.set4(block * 2 ** 24, writer.location({ asn: block + 1 }));
  }
  return LocationMap.open(open(writer.finish()));
}

describe("Classifier", () => {
  it("classify() takes the longest stored prefix that is not longer than the client's", () => {
    const classifier = classifierOf({
      orders: [[9], [1, 9], [2, 9], [3, 9]],
      defaultClass: 0,
      isExactPrefix: true,
      prefixes: [
        prefixed("2001:db8::/32", 1),
        prefixed("2001:db8:0:1234::/64", 2),
        prefixed("198.18.0.0/16", 1),
        prefixed("198.18.7.0/24", 2),
        prefixed("198.51.100.128/25", 3),
      ],
    });
    // Client, branch, scope; those of IPv6 are vector 10 of the reference.
    const cases: readonly (readonly [string, number, number])[] = [
      ["2001:db8:1234::/48", 1, 36],
      ["2001:db8:0:1234::/64", 2, 64],
      ["2001:db8::/48", 1, 52],
      ["2001::/16", 9, 21],
      ["198.18.7.0/24", 2, 24],
      ["198.18.7.9/32", 2, 24],
      ["198.18.0.0/20", 1, 22],
      ["198.16.0.0/12", 9, 15],
      ["198.51.100.128/25", 3, 25],
      ["198.51.100.0/24", 9, 25],
    ];
    const found = cases.map(([text]) => {
      const [order, scope] = decide(classifier, text);
      return [text, order[0], scope];
    });
    assert.deepEqual(found, cases);
  });

  it("classify() climbs to the outer prefix where the inner one is longer than the client's", () => {
    const classifier = classifierOf({
      orders: [[0], [1], [2]],
      defaultClass: 0,
      isExactPrefix: true,
      prefixes: [prefixed("10.0.0.0/8", 1), prefixed("10.0.0.0/24", 2)],
    });
    assert.deepEqual(decide(classifier, "10.0.0.0/16"), [[1], 24]);
    assert.deepEqual(decide(classifier, "10.0.0.0/24"), [[2], 24]);
    assert.deepEqual(decide(classifier, "10.0.0.0/7")[0], [0]);
  });

  it("classify() gives every location its class, merged, sparse and dense", () => {
    const map = blockMap();
    const shapes: readonly ((location: number) => number)[] = [
      (location) => (location % 64 === 1 ? 1 : 0),
      (location) => location % 300,
      (location) => (location > 200 ? location : 0),
    ];
    for (const shape of shapes) {
      const numbers = new ClassNumbers();
      for (let branch = 0; branch < 300; branch++) numbers.of([branch]);
      const classes = Uint16Array.from({ length: map.locationCount }, (_, id) => shape(id));
      const classifier = classifierOf({
        orders: numbers.orders,
        defaultClass: 0,
        prefixes: [],
        locations: { map, classes },
      });
      for (let block = 0; block < 256; block++) {
        assert.deepEqual(decide(classifier, `${block}.9.9.9`)[0], [shape(block + 1)]);
        assert.equal(classifier.classOfLocation(block + 1), shape(block + 1));
      }
    }
  });

  it("classify() widens the scope over neighbours of one class where the map is merged", () => {
    const map = blockMap();
    const classes = Uint16Array.from({ length: map.locationCount }, (_, id) => (id > 128 ? 1 : 0));
    const classifier = classifierOf({
      orders: [[0], [1]],
      defaultClass: 0,
      prefixes: [],
      locations: { map, classes },
    });
    assert.deepEqual(decide(classifier, "17.0.0.0/24"), [[0], 1]);
    assert.deepEqual(decide(classifier, "217.0.0.0/24"), [[1], 1]);
    // 6to4 and mapped forms of 217.0.0.1, and an address that carries none.
    assert.deepEqual(decide(classifier, "2002:d900:1::/48"), [[1], 17]);
    assert.deepEqual(decide(classifier, "::ffff:217.0.0.1"), [[1], 97]);
    assert.deepEqual(decide(classifier, "2a00::/32"), [[0], 5]);
    assert.equal(classifier.location, -1);
  });

  it("classify() lets own prefixes decide before the map, with a scope that keeps clear of them", () => {
    const map = blockMap();
    const classes = new Uint16Array(map.locationCount);
    const classifier = classifierOf({
      orders: [[0], [1]],
      defaultClass: 0,
      prefixes: [prefixed("10.64.0.0/16", 1)],
      locations: { map, classes },
    });
    assert.deepEqual(decide(classifier, "10.64.3.0/24"), [[1], 16]);
    assert.deepEqual(decide(classifier, "10.65.3.0/24"), [[0], 16]);
    assert.deepEqual(decide(classifier, "11.0.0.0/24"), [[0], 8]);
    assert.equal(classifier.location, 12);
    // 6to4 of 10.64.3.4: the own prefix counts for the embedded address.
    assert.deepEqual(decide(classifier, "2002:a40:304::/48"), [[1], 32]);
  });

  it("open() names a location map that is not loaded", () => {
    const map = blockMap();
    const draft: ClassifierDraft = {
      orders: [[0]],
      defaultClass: 0,
      prefixes: [],
      locations: { map, classes: new Uint16Array(map.locationCount) },
    };
    const section = open(writeClassifier(draft));
    assert.equal(Classifier.open(section, () => undefined).missingMap, map.key);
    assert.equal(Classifier.open(section, () => map).missingMap, undefined);
  });

  it("writeClassifier() gives equal drafts one key and other drafts another", () => {
    const draft = (last: number): ClassifierDraft => ({
      orders: [[0], [1, last]],
      defaultClass: 0,
      isExactPrefix: true,
      prefixes: [prefixed("10.0.0.0/8", 1)],
    });
    const [a, b, c] = [draft(2), draft(2), draft(3)].map(writeClassifier);
    assert.deepEqual([a?.name, a?.key], [b?.name, b?.key]);
    assert.notEqual(a?.key, c?.key);
  });

  it("classify() never leaves its classes, whatever the client", () => {
    const classifier = classifierOf({
      orders: [[0], [1], [2]],
      defaultClass: 0,
      isExactPrefix: true,
      prefixes: [prefixed("0.0.0.0/0", 1), prefixed("::/0", 2), prefixed("255.255.255.255", 0)],
    });
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 128 }), fc.boolean(), (address, length, six) => {
        const client = new Client();
        client.set(six ? 6 : 4, address, 0, six ? length : length % 33);
        const cls = classifier.classify(client);
        assert.ok(cls < classifier.classCount);
        assert.ok(classifier.scope >= 0 && classifier.scope <= (six ? 128 : 32));
        assert.equal(
          cls,
          six ? 2 : wordsOf(address)[0] === 0xffff_ffff && length % 33 === 32 ? 0 : 1,
        );
      }),
    );
  });
});
