// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatName, RRType, typeToText } from "@meridian/dns";
import {
  apiVersion,
  examples,
  isStoreKind,
  failoverBudget,
  loadModel,
  Model,
  parseDocument,
  parseDocuments,
  parseShiftLength,
  parseTarget,
  shiftLengthUntil,
  type Problem,
} from "./index.ts";
import { formatPath, parsePath } from "./problem.ts";

const version = "apiVersion: meridian.dev/v1alpha1\nkind:";

function load(text: string): { readonly model?: Model; readonly problems: readonly Problem[] } {
  return loadModel([{ path: "a.yaml", bytes: Buffer.from(text) }], { now: 0 });
}

function modelOf(text: string): Model {
  const { model, problems } = load(text);
  assert.ok(model !== undefined, problems.map(({ message }) => message).join("\n"));
  return model;
}

describe("Model", () => {
  const model = modelOf(
    Object.entries(examples)
      .filter(([kind]) => kind !== "Shift" && !isStoreKind(kind))
      .map(([, text]) => text)
      .join("---\n"),
  );

  test("merges members of a pool with those of its EndpointSets", () => {
    const pool = model.pool("default", "web-eu");
    assert.equal(pool?.key, "pool/default/web-eu");
    assert.deepEqual(
      [...(pool?.members.values() ?? [])].map(({ key, document }) => [key, document.kind]),
      [
        ["endpoint/default/web-eu/a", "Pool"],
        ["endpoint/default/web-eu/b", "Pool"],
        ["endpoint/default/web-eu/c", "EndpointSet"],
      ],
    );
  });

  test("finds zones by origin and by the names in them", () => {
    const zone = model.zone("Example.ORG.");
    assert.equal(zone, model.zoneOf("a.b.EXAMPLE.org"));
    assert.equal(model.zoneOf("example.com"), undefined);
    assert.deepEqual([...(zone?.dynamicRecords ?? [])], [...model.records]);
    const records = [...(zone?.records ?? [])].map(
      ({ owner, type }) => `${formatName(owner)} ${typeToText(type)}`,
    );
    assert.deepEqual(records, [
      "example.org. NS",
      "ns1.example.org. A",
      "example.org. MX",
      "example.org. SOA",
      "mail.example.org. MX",
      "mail.example.org. MX",
    ]);
  });

  test("knows the demo data sets without a document", () => {
    assert.equal(model.dataSet("demo-asn")?.kind, "asn");
    assert.equal(model.dataSet("countries")?.kind, "country");
    assert.equal(model.dataSet("none"), undefined);
  });

  test("takes coordinates from the nearest parent that has some", () => {
    const sites = modelOf(
      `${version} Site\nmetadata: { name: a }\nspec: { coordinates: { latitude: 1, longitude: 2 } }\n---\n` +
        `${version} Site\nmetadata: { name: b }\nspec: { parent: a }\n---\n` +
        `${version} Site\nmetadata: { name: c }\nspec: { parent: b }\n`,
    );
    assert.deepEqual(sites.coordinatesOf("c"), { latitude: 1, longitude: 2 });
    const chain = sites.siteChain("c").map(({ metadata }) => metadata.name);
    assert.deepEqual(chain, ["c", "b", "a"]);
  });

  test("makes a start of authority where the zone gives none", () => {
    const records = model.zone("example.org")?.records;
    assert.equal(records?.ttlAt(records.firstOf(RRType.SOA)), 300);
  });
});

describe("policies", () => {
  function policyOf(levels: number): string {
    const nodes = Array.from({ length: levels }, (_, index) => {
      const target = index + 1 < levels ? `node: n${index + 1}` : "name: www.example.net";
      return `    n${index}: { roundRobin: { branches: [{ ${target} }] } }\n`;
    });
    return `${version} TrafficPolicy\nmetadata: { name: deep }\nspec:\n  root: n0\n  nodes:\n${nodes.join("")}`;
  }

  test("16 levels are accepted", () => {
    assert.ok(load(policyOf(16)).model !== undefined);
  });

  test("64 levels are refused with the chain", () => {
    const { model, problems } = load(policyOf(64));
    assert.equal(model, undefined);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0]?.message ?? "",
      /^Cannot use TrafficPolicy "deep": spec.root is the start of 64 levels, n0 → n1 → .* → … → n62 → n63, expected at most 16$/,
    );
  });
});

describe("failoverBudget()", () => {
  const text = (check: string): string =>
    `${version} HealthCheck\nmetadata: { name: c }\nspec: ${check}\n---\n` +
    `${version} HealthCheck\nmetadata: { name: d }\nspec: { tcp: {}, interval: 1s }\n---\n` +
    `${version} HealthCheck\nmetadata: { name: sum }\nspec: { calculated: { children: [c, d], minHealthy: 1 } }\n---\n` +
    `${version} Pool\nmetadata: { name: p }\nspec: { healthCheck: sum, members: { a: { address: 192.0.2.1 } } }\n---\n` +
    `${version} Zone\nmetadata: { name: z }\nspec: { origin: example.org, nameServers: [{ name: ns.example.net }] }\n---\n` +
    `${version} Record\nmetadata: { name: r }\nspec: { name: example.org, pool: p, ttl: { max: 30s } }\n`;

  function budgetOf(check: string): ReturnType<typeof failoverBudget> {
    const model = modelOf(text(check));
    const [record] = model.records;
    assert.ok(record !== undefined);
    return failoverBudget(model, record);
  }

  test("adds the slowest check, decision, publishing, TTL, and what caches keep longer", () => {
    // 10 s × 1.05 × 3 + 4 s + 100 ms.
    assert.deepEqual(budgetOf("{ http: {}, interval: 10s, timeout: 4s }"), {
      detectionMs: 35_600,
      decisionMs: 10,
      publishMs: 100,
      ttlMs: 30_000,
      drainMs: 30_000,
      totalMs: 95_710,
    });
  });

  test("takes half the interval as the timeout that is not set, at most 5 s", () => {
    assert.equal(budgetOf("{ tcp: {}, interval: 4s, jitter: 0 }")?.detectionMs, 14_100);
    assert.equal(budgetOf("{ tcp: {}, interval: 60s, jitter: 0 }")?.detectionMs, 185_100);
  });
});

describe("Shift", () => {
  test("lasts more than 0 and at most 72 h", () => {
    for (const refused of ["0h", "73h", "1d", "", "-1h"]) {
      assert.ok("wanted" in parseShiftLength(refused), refused);
    }
    assert.deepEqual(parseShiftLength("72h"), { ms: 259_200_000 });
    assert.deepEqual(parseShiftLength("90m"), { ms: 5_400_000 });
  });

  test("expires at most 72 h from now", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.deepEqual(shiftLengthUntil("2026-01-04T00:00:00Z", now), { ms: 259_200_000 });
    for (const refused of [
      "2026-01-04T00:00:01Z",
      "2026-01-01T00:00:00Z",
      "2025-01-01T00:00:00Z",
    ]) {
      assert.ok("wanted" in shiftLengthUntil(refused, now), refused);
    }
  });

  test("names what is there", () => {
    const { documents } = parseDocuments([{ path: "a.yaml", bytes: Buffer.from(examples.Pool) }]);
    const [pool] = documents;
    assert.ok(pool?.kind === "Pool");
    const messagesOf = (target: string): string[] => {
      const spec = { target, reason: "r", actor: "a", expiresAt: "2026-01-31T18:00:00Z" };
      const raw = { apiVersion, kind: "Shift", metadata: { name: "s" }, spec };
      const shift = parseDocument(raw, { file: "api", line: 1 });
      const built = Model.build([pool, ...shift.documents], { broken: allBut });
      return built.problems.map(({ message }) => message);
    };
    const allBut = [
      { kind: "HealthCheck", namespace: "default", name: "web" },
      { kind: "Site", namespace: "", name: "eu-west" },
    ] as const;
    assert.deepEqual(messagesOf("endpoint/default/web-eu/b"), []);
    assert.deepEqual(messagesOf("endpoint/default/web-eu/c"), [
      'Cannot use Shift "s": spec.target is "c", expected the name of a member of default/web-eu',
    ]);
    assert.deepEqual(messagesOf("pool/default/web-us"), [
      'Cannot use Shift "s": spec.target is "web-us", expected the name of a Pool in namespace "default"',
    ]);
  });

  test("targets a site, pool or endpoint", () => {
    assert.deepEqual(parseTarget("site/eu"), { kind: "site", name: "eu" });
    assert.deepEqual(parseTarget("endpoint/default/web/a"), {
      kind: "endpoint",
      namespace: "default",
      pool: "web",
      name: "a",
    });
    for (const refused of ["eu", "site/", "site/eu/a", "pool/web", "Site/eu", "site/eu\n"]) {
      assert.equal(parseTarget(refused), undefined, refused);
    }
  });
});

test("a path is read back as it was written", () => {
  const paths = [
    [],
    ["spec", "nodes", "eu", "weighted", "branches", 0, "weight"],
    ["spec", "members", "a.b", "address"],
    ["spec", 'a"b]', 10, "c-d"],
  ];
  for (const path of paths) assert.deepEqual(parsePath(formatPath(path)), path);
});
