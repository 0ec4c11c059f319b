// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModel } from "../load.ts";
import { formatProblem } from "../problem.ts";
import { yamlText } from "../read-yaml.ts";
import { importPowerdnsGeoip } from "./powerdns-geoip.ts";

const file = `domains:
- domain: geo.example.com
  ttl: 30
  records:
    geo.example.com:
      - soa: ns1.example.com hostmaster.example.com 2014090125 7200 3600 1209600 3600
      - ns:
          content: ns1.example.com
          ttl: 600
      - ns: ns2.example.com
      - mx: 10 mx.example.com
    fin.eu.service.geo.example.com:
      - a: 192.0.2.2
      - txt: hello world
      - aaaa: 2001:DB8::12:34DE:3
    eu.service.geo.example.com:
      - a: 192.0.2.3
      - a: 192.0.2.4
    unknown.service.geo.example.com:
      - a: 192.0.2.5
    internal.service.geo.example.com:
      - a: 192.0.2.6
    balanced.geo.example.com:
      - a: { content: 192.0.2.7, weight: 50 }
      - a: { content: 192.0.2.8, weight: 10 }
  services:
    service.geo.example.com:
      default: [ '%co.%cn.service.geo.example.com', '%cn.service.geo.example.com' ]
      10.0.0.0/8: internal.service.geo.example.com
    city.geo.example.com: '%ci.geo.example.com'
mapping_lookup_formats: ['%cc-%re', '%cc']
`;

test("a zones file of the GeoIP back end becomes documents that load; what does not map is listed", () => {
  const { documents, unmapped, mistakes } = importPowerdnsGeoip("geo.yaml", () =>
    new TextEncoder().encode(file),
  );
  assert.deepEqual(mistakes, []);
  assert.deepEqual(
    unmapped.map(({ line, what, why }) => `${line} ${what}: ${why}`),
    [
      "10 geo.example.com. NS ns2.example.com.: Its TTL becomes 600, that of its set (RFC 2181 §5.2)",
      "30 city.geo.example.com: %ci.geo.example.com: The placeholder %ci has no counterpart",
      "30 city.geo.example.com: None of its patterns leads to a name with addresses",
      "31 mapping_lookup_formats: It has no counterpart",
    ],
  );
  const text = documents.map((document) => yamlText(document)).join("---\n");
  const { model, problems } = loadModel(
    [{ path: "i.yaml", bytes: new TextEncoder().encode(text) }],
    {
      now: 0,
    },
  );
  assert.ok(model !== undefined, problems.map(formatProblem).join("\n"));
  const policy = documents.find(({ kind }) => kind === "TrafficPolicy");
  assert.deepEqual(policy?.spec, {
    root: "net",
    nodes: {
      net: {
        subnet: {
          branches: [
            { pool: "internal-service-geo-example-com", prefixes: ["10.0.0.0/8"] },
            { node: "place", default: true },
          ],
        },
      },
      place: {
        geo: {
          branches: [
            { pool: "fin-eu-service-geo-example-com", countries: ["FI"] },
            { pool: "eu-service-geo-example-com", continents: ["EU"] },
            { pool: "unknown-service-geo-example-com", default: true },
          ],
        },
      },
    },
  });
  const records = documents.filter(({ kind }) => kind === "Record");
  assert.deepEqual(
    records.map(({ spec }) => [spec["name"], spec["types"], spec["pool"] ?? spec["policy"]]),
    [
      ["balanced.geo.example.com", ["A"], "balanced-geo-example-com"],
      ["service.geo.example.com", ["A", "AAAA"], "service-geo-example-com"],
    ],
  );
});

test("what is no such file is a mistake with its reason", () => {
  for (const text of ["- a", "domains: [", "domains: [{ttl: 3}]"]) {
    const { documents, mistakes } = importPowerdnsGeoip("x", () => new TextEncoder().encode(text));
    assert.deepEqual(documents, []);
    assert.equal(mistakes.length, 1, text);
  }
  assert.equal(importPowerdnsGeoip("x", () => undefined).mistakes.length, 1);
});
