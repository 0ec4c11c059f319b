// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDocuments } from "../index.ts";

const zone = (more: object): string[] => {
  const document = {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Zone",
    metadata: { name: "example.org" },
    spec: { origin: "example.org", ...more },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return parseDocuments([{ path: "zone.yaml", bytes }]).problems.map(({ message }) => message);
};
const tsigKeys = { "xfr.example": { secret: { file: "xfr" } } };

test("transfers name keys of the zone, and who an entry is for", () => {
  const allow = [{ key: "xfr.example" }, { clients: ["192.0.2.0/24"] }];
  assert.deepEqual(zone({ tsigKeys, transfers: { allow } }), []);
  assert.match(zone({ transfers: { allow } }).join(), /keys that tsigKeys has/);
  assert.match(zone({ transfers: { allow: [{}] } }).join(), /clients, key or certificate/);
  for (const name of ["*.example.org", "."]) {
    const shown = zone({ transfers: { allow: [{ certificate: { name } }] } });
    assert.match(shown.join(), /a host name/, name);
  }
});

test("who may ask is said by networks and keys of the zone", () => {
  const allowQuery = [{ key: "xfr.example" }, { clients: ["192.0.2.0/24"] }];
  assert.deepEqual(zone({ tsigKeys, allowQuery }), []);
  assert.deepEqual(zone({ allowQuery: [] }), []);
  assert.match(zone({ allowQuery }).join(), /keys that tsigKeys has/);
  assert.match(zone({ allowQuery: [{}] }).join(), /clients, key or both/);
});

test("a signed zone that is sent has a chain of denial that is made ahead", () => {
  assert.deepEqual(zone({ dnssec: { denial: "nsec3" }, transfers: {} }), []);
  const compact = zone({ dnssec: { denial: "compact" }, transfers: {} });
  assert.match(compact.join(), /nsec or nsec3 where the zone has transfers/);
});
