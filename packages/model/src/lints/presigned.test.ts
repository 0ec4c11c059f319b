// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDocuments } from "../parse.ts";
import { lint } from "../lint.ts";
import { Model } from "../model.ts";
import { signedUntilOf } from "./presigned.ts";

const END_MS = Date.UTC(2026, 5, 1);
const signature = (type: string, ends: string): string =>
  `${type} 13 2 300 ${ends} 20260501000000 4711 example.org. AAAA`;

function modelOf(more: string): Model {
  const text = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  nameServers: [{ name: ns.example.net }]
  records:
    - { name: www, type: A, values: [192.0.2.1] }
    - { name: www, type: RRSIG, values: ["${signature("A", "20260601000000")}"] }
    - { name: "@", type: RRSIG, values: ["${signature("SOA", "20260701000000")}"] }
${more}
`;
  const { documents } = parseDocuments([{ path: "a.yaml", bytes: Buffer.from(text) }]);
  const { model, problems } = Model.build(documents);
  assert.ok(model !== undefined, JSON.stringify(problems));
  return model;
}

test("a zone that was signed elsewhere is warned of days before its first signature ends", () => {
  const model = modelOf('    - { name: "@", type: DNSKEY, values: ["257 3 13 AAAA"] }');
  const said = (beforeMs: number): string[] =>
    lint(model, END_MS - beforeMs).flatMap(({ code, message }) =>
      code.startsWith("signature") ? [`${code}: ${message}`] : [],
    );
  const day = 86_400_000;
  assert.deepEqual(said(4 * day), []);
  assert.match(said(2 * day).join(), /^signature-expires: .*ends at 2026-06-01T00:00:00.000Z/);
  assert.match(said(-1).join(), /^signature-expired: .*has ended at 2026-06-01T00:00:00.000Z/);
});

test("without keys of its own a zone is not signed elsewhere", () => {
  const [zone] = modelOf("").zones.values();
  assert.ok(zone !== undefined);
  assert.equal(signedUntilOf(zone), undefined);
});
