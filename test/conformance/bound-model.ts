// SPDX-License-Identifier: Apache-2.0

// Names bound to policies and pools, for the tests of decisions: `app` goes by subnet (203.0.113.0/24 and 2001:db8:1::/48 to "eu",
// all others to "us"), `lone` is a pool alone, `far` an alias, `never` is withheld, `half` has IPv4 only.

import assert from "node:assert/strict";
import { key64 } from "@meridian/core";
import { RRType } from "@meridian/dns";
import { ClientLocation, PER_MILLE, TargetKind } from "@meridian/snapshot";
import {
  parsePrefix,
  writeClassifier,
  type Binding,
  type BranchInput,
  type ClassifiedPrefix,
  type EndpointInput,
} from "@meridian/snapshot/writer";
import {
  testMember,
  testPool,
  wire,
  type BoundName,
  type TestModel,
  type TestZone,
} from "./test-server.ts";

const ADDRESSES = [RRType.A, RRType.AAAA];
const ALL = [...ADDRESSES, RRType.HTTPS];

function prefix(text: string, cls: number): ClassifiedPrefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== undefined);
  return { prefix: parsed, cls };
}

const classifier = writeClassifier({
  orders: [[1], [0]],
  defaultClass: 0,
  prefixes: [prefix("203.0.113.0/24", 1), prefix("2001:db8:1::/48", 1)],
  isExactPrefix: true,
});

function branch(target: BranchInput["target"]): BranchInput {
  return { target, weight: 1, dial: PER_MILLE, tier: 0, isFence: false, evaluateHealth: true };
}

function withoutAddresses(
  member: EndpointInput,
  families: readonly ("ipv4" | "ipv6")[],
): EndpointInput {
  const { ipv4, ipv6, ...rest } = member;
  const kept = {
    ...(ipv4 === undefined || families.includes("ipv4") ? {} : { ipv4 }),
    ...(ipv6 === undefined || families.includes("ipv6") ? {} : { ipv6 }),
  };
  return { ...rest, ...kept };
}

export function toPolicy(name: string, more: Partial<Binding> = {}): Binding {
  return {
    targetKind: TargetKind.policy,
    targetKey: key64(`policy/default/${name}`),
    ttlMin: 5,
    ttlMax: 60,
    ...more,
  };
}

export function toPool(name: string, more: Partial<Binding> = {}): Binding {
  return {
    targetKind: TargetKind.pool,
    targetKey: key64(`pool/default/${name}`),
    ttlMin: 5,
    ttlMax: 60,
    ...more,
  };
}

const service = {
  priority: 1,
  target: new Uint8Array(1),
  // alpn=h2 and, out of place among the hints, key 65280.
  params: Uint8Array.of(0, 1, 0, 3, 2, 0x68, 0x32, 0xff, 0, 0, 1, 7),
  hasHints: true,
};

const bound: readonly BoundName[] = [
  { owner: "app.example.org.", types: ALL, binding: toPolicy("by-subnet", { service }) },
  {
    owner: "resolver.example.org.",
    types: ADDRESSES,
    binding: toPolicy("by-subnet", { clientLocation: ClientLocation.resolver }),
  },
  {
    owner: "ecs-only.example.org.",
    types: ADDRESSES,
    binding: toPolicy("by-subnet", { clientLocation: ClientLocation.ecsOnly }),
  },
  { owner: "lone.example.org.", types: ALL, binding: toPool("eu", { service }) },
  { owner: "half.example.org.", types: ADDRESSES, binding: toPool("ipv4-only") },
  { owner: "far.example.org.", types: ALL, binding: toPolicy("far") },
  { owner: "host.example.org.", types: ALL, binding: toPool("hosts") },
  { owner: "never.example.org.", types: ADDRESSES, binding: toPolicy("closed") },
  { owner: "*.star.example.org.", types: ADDRESSES, binding: toPool("eu") },
  {
    owner: "_sip._tcp.example.org.",
    types: [RRType.SRV],
    binding: toPool("hosts", { srv: { priority: 1, weight: 2, port: 5060 } }),
  },
  {
    owner: "_web._tcp.example.org.",
    types: [RRType.SRV],
    binding: toPool("eu", {
      srv: { priority: 1, weight: 2, port: 443, target: wire("lone.example.org.") },
    }),
  },
  {
    owner: "_own._tcp.example.org.",
    types: [RRType.SRV],
    binding: toPool("hosts", { srv: { priority: 1, weight: 2, port: 0 } }),
  },
  { owner: "only-alias.example.org.", types: [RRType.CNAME], binding: toPolicy("far") },
  { owner: "example.org.", types: ALL, binding: toPolicy("far") },
];

const zoneText = `
$ORIGIN example.org.
$TTL 3600
@      IN SOA ns1 hostmaster 7 3600 900 604800 300
@      IN NS  ns1
ns1    IN A   192.0.2.1
static IN A   192.0.2.2
static IN AAAA 2001:db8::2
link   IN CNAME app
`;

export const boundZone: TestZone = { origin: "example.org.", text: zoneText, bound };

export const boundModel: TestModel = {
  zones: [boundZone],
  pools: [
    testPool("default/eu", [testMember("eu-1", 11)]),
    testPool("default/us", [testMember("us-1", 21)]),
    testPool("default/ipv4-only", [withoutAddresses(testMember("v4", 31), ["ipv6"])]),
    testPool("default/hosts", [
      {
        ...withoutAddresses(testMember("host", 0), ["ipv4", "ipv6"]),
        hostName: wire("static.example.org."),
        port: 8443,
      },
    ]),
    testPool("default/empty", []),
  ],
  policies: [
    {
      name: "default/by-subnet",
      root: "root",
      nodes: [
        {
          name: "root",
          kind: "subnet",
          branches: [branch({ pool: "default/eu" }), branch({ pool: "default/us" })],
          onAllUnhealthy: "open",
          answers: 0,
          minHealthy: undefined,
          classifier: classifier.key,
        },
      ],
    },
    {
      name: "default/far",
      root: "root",
      nodes: [
        {
          name: "root",
          kind: "weighted",
          branches: [branch({ name: wire("static.example.org.") })],
          onAllUnhealthy: "open",
          answers: 0,
          minHealthy: undefined,
        },
      ],
    },
    {
      name: "default/closed",
      root: "root",
      nodes: [
        {
          name: "root",
          kind: "weighted",
          branches: [branch({ pool: "default/empty" })],
          onAllUnhealthy: "closed",
          answers: 0,
          minHealthy: undefined,
        },
      ],
    },
  ],
  sections: [classifier],
};
