// SPDX-License-Identifier: Apache-2.0

// A small model that has every kind of section, every kind of node and every way of backing out, and queries that reach them all.

import { key64 } from "@meridian/core";
import { encodeMessage, makeQuery, RRType } from "@meridian/dns";
import {
  LocationMap,
  NodeKind,
  OnAllUnhealthy,
  PER_MILLE,
  Section,
  TargetKind,
  openSection,
} from "@meridian/snapshot";
import {
  LocationMapWriter,
  MinHealthyKind,
  parsePrefix,
  writeAddresses,
  writeClassifier,
  writeResolvers,
  type AddressPrefix,
  type BranchInput,
  type ClassifierDraft,
  type NodeInput,
  type PolicyInput,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { boundModel } from "../conformance/bound-model.ts";
import { testMember, testPool, wire, writeModel } from "../conformance/test-server.ts";
import { fuzzModel } from "./seed-messages.ts";

const LOCATIONS = 40;

function prefixOf(text: string): AddressPrefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new TypeError(`"${text}" is a prefix`);
  return prefix;
}

function locationMap(): { readonly section: WrittenSection; readonly map: LocationMap } {
  const writer = new LocationMapWriter(key64("section/fuzzed-map"));
  for (let id = 1; id < LOCATIONS; id++) {
    const place = { continent: "EU", country: "DE", subdivision: `DE-${id}`, asn: 64_500 + id };
    writer.add(prefixOf(`198.51.${id}.0/24`), writer.location(place));
    writer.add(prefixOf(`2001:db8:${id}::/48`), writer.location(place));
  }
  const section = writer.finish();
  const opened = openSection(section.buffer);
  if (!(opened instanceof Section)) throw new TypeError(opened.error);
  return { section, map: LocationMap.open(opened) };
}

const { section: mapSection, map } = locationMap();
const orders = [[0, 1], [1, 0], [1], []];
const drafts: readonly ClassifierDraft[] = [
  // Enough classes and ranges that the map is not merged.
  {
    orders,
    defaultClass: 3,
    prefixes: [{ prefix: prefixOf("203.0.113.0/24"), cls: 2 }],
    locations: { map, classes: Uint16Array.from({ length: LOCATIONS }, (_, id) => id % 4) },
  },
  {
    orders,
    defaultClass: 0,
    prefixes: [
      { prefix: prefixOf("203.0.113.0/24"), cls: 1 },
      { prefix: prefixOf("203.0.113.128/25"), cls: 2 },
      { prefix: prefixOf("2001:db8:1::/48"), cls: 1 },
    ],
    isExactPrefix: true,
  },
];
const classifiers = drafts.map((draft) => writeClassifier(draft));

function branch(target: BranchInput["target"], more: Partial<BranchInput> = {}): BranchInput {
  return {
    target,
    weight: 2,
    dial: PER_MILLE,
    tier: 0,
    isFence: false,
    evaluateHealth: true,
    ...more,
  };
}

const kinds = Object.keys(NodeKind).filter(
  (kind): kind is keyof typeof NodeKind => kind in NodeKind,
);
const actions = Object.keys(OnAllUnhealthy).filter(
  (action): action is keyof typeof OnAllUnhealthy => action in OnAllUnhealthy,
);

/** A root of this kind over a node of the next kind and a pool. */
function policyOf(kind: keyof typeof NodeKind, index: number): PolicyInput {
  const node = (name: string, own: keyof typeof NodeKind, next: BranchInput): NodeInput => ({
    name,
    kind: own,
    branches: [
      next,
      branch({ pool: "default/many" }, { tier: 1, dial: 600, isFence: index % 3 === 0 }),
    ],
    onAllUnhealthy: actions[(index + name.length) % actions.length] ?? "open",
    fallback: branch({ name: wire("static.example.org.") }),
    answers: index % 3,
    minHealthy:
      index % 2 === 0
        ? undefined
        : { kind: MinHealthyKind.percent, value: 50, isPerFamily: index % 4 === 1 },
    stickyPrefix: { ipv4: 24, ipv6: 56 },
    salt: "salt",
    ...(classifierKinds.has(own) && { classifier: classifiers[index % 2]?.key ?? 0n }),
  });
  const inner = kinds[(index + 3) % kinds.length] ?? "weighted";
  return {
    name: `default/${kind.toLowerCase()}`,
    root: "root",
    nodes: [
      node("root", kind, branch({ node: "inner" })),
      node("inner", inner, branch({ pool: "default/hosts" })),
    ],
  };
}

const classifierKinds: ReadonlySet<string> = new Set([
  "geo",
  "proximity",
  "latency",
  "subnet",
  "asn",
]);

/** Owners that are bound to those policies. */
const ownerOf = (kind: string): string => `${kind.toLowerCase()}.example.org.`;

/** Every section of the model. */
export function everySection(): WrittenSection[] {
  const many = Array.from({ length: 12 }, (_, index) =>
    testMember(`m${index}`, 40 + index, { weight: index, priority: index % 2, site: "far" }),
  );
  const zones = fuzzModel.zones.map((zone, index) =>
    index > 0
      ? zone
      : {
          ...zone,
          bound: [
            ...(zone.bound ?? []),
            ...kinds.map((kind) => ({
              owner: ownerOf(kind),
              types: [RRType.A, RRType.AAAA, RRType.HTTPS],
              binding: {
                targetKind: TargetKind.policy,
                targetKey: key64(`policy/default/${kind.toLowerCase()}`),
                ttlMin: 5,
                ttlMax: 60,
              },
            })),
          ],
        },
  );
  return writeModel({
    zones,
    pools: [...(boundModel.pools ?? []), testPool("default/many", many)],
    policies: [...(boundModel.policies ?? []), ...kinds.map(policyOf)],
    sections: [
      ...(boundModel.sections ?? []),
      mapSection,
      ...classifiers,
      writeResolvers([
        { resolver: prefixOf("198.51.100.0/24"), client: prefixOf("203.0.113.0/24") },
      ]),
      writeAddresses([
        {
          key: key64("endpoint/default/hosts/host"),
          ipv4: [Uint8Array.of(192, 0, 2, 77)],
          ipv6: [],
        },
      ]),
    ],
  });
}

/** Queries for all of its names, with client subnets in several classes. */
export function everyQuery(): Uint8Array[] {
  const subnets = [
    Uint8Array.of(0, 1, 24, 0, 203, 0, 113),
    Uint8Array.of(0, 1, 32, 0, 198, 51, 7, 9),
    Uint8Array.of(0, 2, 48, 0, 0x20, 1, 13, 184, 0, 9),
  ];
  return kinds.flatMap((kind, index) =>
    [RRType.A, RRType.AAAA, RRType.HTTPS].map((type) =>
      encodeMessage(
        makeQuery(wire(ownerOf(kind)), type, {
          edns: {
            options: [{ code: 8, data: subnets[(index + type) % 3] ?? new Uint8Array(0) }],
          },
        }),
      ),
    ),
  );
}
