// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { shrinkingOf } from "./shrinking.ts";
import { ApiFixture } from "./testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";
const NAMES = 20;
/** A zone as JSON, which is YAML, with so many names beside its own. */
const zone = (origin: string, count: number): object => ({
  apiVersion,
  kind: "Zone",
  metadata: { name: origin },
  spec: {
    origin,
    nameServers: [{ name: "ns1.example.net" }],
    records: Array.from({ length: count }, (_, at) => ({
      ...{ name: `n${at}`, type: "A", values: ["192.0.2.1"] },
    })),
  },
});

test("shrinkingOf() objects to more than 30 % less of what there are at least ten of", () => {
  const size = (names: number, endpoints: number): { names: number; endpoints: number } => ({
    names,
    endpoints,
  });
  assert.equal(shrinkingOf(size(9, 9), size(0, 0)), undefined);
  assert.equal(shrinkingOf(size(10, 10), size(7, 7)), undefined);
  assert.equal(shrinkingOf(size(100, 0), size(700, 0)), undefined);
  assert.equal(
    shrinkingOf(size(10, 10), size(6, 10)),
    "of 10 names that are served it leaves 6 (40 % less), expected at most 30 % less",
  );
  assert.match(shrinkingOf(size(10, 1000), size(10, 699)) ?? "", /^of 1000 endpoints .* 699 /);
});

test("files that leave much less than is served are refused, and the last good state stays", async (t) => {
  const files = { "zone.yaml": JSON.stringify(zone("example.org", NAMES)) };
  const { embedded, folder } = await ApiFixture.start(t, files, { allowEmpty: false });
  const write = (count: number): void =>
    writeFileSync(join(folder, "files", "zone.yaml"), JSON.stringify(zone("example.org", count)));
  const { revision } = embedded;
  write(NAMES / 2);
  const { changed, errors } = await embedded.reload();
  assert.equal(changed, false);
  assert.match(
    errors.join(),
    /^Cannot apply the files: of 21 names .* it leaves 11 .*--allow-empty/,
  );
  assert.equal(embedded.revision, revision);
  assert.deepEqual(embedded.fileErrors, errors);
  write(NAMES - 5);
  assert.equal((await embedded.reload()).changed, true);
});

test("a change by API that leaves much less is refused unless it says that it is meant, which is kept", async (t) => {
  const api = await ApiFixture.start(t, {});
  const apply = async (path: string, count: number): Promise<[number, unknown, string]> => {
    const body = [zone("example.org", count)];
    const { status, body: answer } = await api.local("POST", `/v1/apply${path}`, { body });
    return [status, answer.code, answer.error];
  };
  assert.equal((await apply("", NAMES))[0], 200);
  const [status, code, error] = await apply("", 3);
  assert.deepEqual([status, code], [409, "DOCUMENTS_SHRINK"]);
  assert.match(error, /of 21 names that are served it leaves 4 \(81 % less\).*--allow-shrink/);
  assert.equal((await apply("?dryRun=true", 3))[0], 409);
  assert.equal((await apply("?owner=operator:eu", 3))[1], "DOCUMENT_OWNED");
  const gone = await api.local("DELETE", "/v1/documents/Zone/default/example.org");
  assert.deepEqual([gone.status, gone.body.code], [409, "DOCUMENTS_SHRINK"]);
  assert.equal((await apply("?allowShrink=true", 3))[0], 200);
  const [last] = await api.store.history({ newestFirst: true, limit: 1 });
  assert.match(last?.cause ?? "", /"allowShrink":true/);
});
