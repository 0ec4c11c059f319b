// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Caller, builtinRoles } from "./access/caller.ts";
import { DocumentService } from "./documents/document-service.ts";
import type { Publisher } from "./documents/publisher.ts";
import { ShrinkAllowance } from "./documents/shrink-allowance.ts";
import { Embedded } from "./embedded.ts";
import { shrinkingOf, sizeOf } from "./shrinking.ts";
import { openStore } from "./store/open-store.ts";
import { ApiFixture } from "./testing/api-fixture.ts";
import { MemoryPersistence, silent } from "./testing/control-fixture.ts";

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

test("a change that leaves a name without an endpoint is refused unless it says that it is meant", async (t) => {
  const made = (kind: string, name: string, spec: object): object => ({
    ...{ apiVersion, kind, metadata: { name }, spec },
  });
  const pool = (name: string, addresses: readonly string[]): object =>
    made("Pool", name, {
      members: Object.fromEntries(addresses.map((address, at) => [`m${at}`, { address }])),
    });
  const tiers = [{ branches: [{ pool: "eu" }] }, { branches: [{ pool: "us" }] }];
  const policy = (nodes: object): object =>
    made("TrafficPolicy", "order", { root: "order", nodes: { order: nodes } });
  const record = (name: string, spec: object): object =>
    made("Record", name, { name: `${name}.example.org`, ...spec });
  const api = await ApiFixture.start(t, {});
  const apply = async (body: readonly object[], more = ""): Promise<readonly unknown[]> => {
    const answer = await api.local("POST", `/v1/apply${more}`, { body });
    return answer.status === 200 ? [200] : [answer.body.code, answer.body.error];
  };
  const first = [
    ...[zone("example.org", NAMES), pool("eu", ["192.0.2.1"]), pool("us", ["192.0.2.2"])],
    ...[pool("none", []), policy({ failover: { tiers } }), record("www", { policy: "order" })],
    ...[record("eu", { pool: "eu" }), record("early", { pool: "none" })],
  ];
  // What had no endpoint before is not taken from anybody.
  assert.deepEqual(await apply(first), [200]);
  const [code, error] = await apply([pool("eu", [])]);
  assert.equal(code, "DOCUMENTS_SHRINK");
  assert.match(
    String(error),
    /it leaves no endpoint for eu\.example\.org, expected .*--allow-shrink/,
  );
  assert.equal((await apply([pool("eu", [])], "?dryRun=true"))[0], "DOCUMENTS_SHRINK");
  assert.equal((await apply([record("eu", { pool: "none" })]))[0], "DOCUMENTS_SHRINK");
  const alone = { failover: { tiers: [{ branches: [{ pool: "none" }] }] } };
  assert.match(String((await apply([policy(alone)]))[1]), /no endpoint for www\.example\.org/);
  const explained = await api.local("GET", "/v1/explain?name=eu.example.org");
  assert.match(explained.text, /192\.0\.2\.1/);

  assert.deepEqual(await apply([pool("eu", [])], "?allowShrink=true"), [200]);
  // The name goes with its pool's last member: nobody is left without an answer who has a name.
  assert.deepEqual(await apply([record("www", { pool: "us" }), pool("eu", [])]), [200]);
  assert.match(String((await apply([pool("us", [])]))[1]), /www\.example\.org/);
  const host = { weighted: { branches: [{ name: "www.example.net", weight: 1 }] } };
  assert.deepEqual(await apply([policy(host), record("www", { policy: "order" })]), [200]);
  assert.deepEqual(await apply([pool("us", [])]), [200]);
});

test("what was allowed and committed is served by the next process where the first ended in between; nothing else is", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-allowed-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  t.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });
  const persistence = new MemoryPersistence();
  const closes: (() => Promise<void>)[] = [];
  t.after(() => Promise.all(closes.map((close) => close())));
  /** A process; one that `ends` does so as soon as a change is in the store. */
  const start = async (ends = false): Promise<[Embedded, DocumentService]> => {
    const embedded: Embedded = new Embedded({
      ...{ files: [], stored: () => documents.compilerFiles, edge: { publish: () => {} } },
      ...{ logger: silent, persistence, probing: false, allowEmpty: false, vantage: "test" },
    });
    closes.push(() => embedded.close());
    const publisher: Publisher = {
      newestRevision: 0,
      documentOfFile: (key) => embedded.documentOfFile(key),
      propose: (files, commit, options) =>
        embedded.propose(
          files,
          commit === undefined
            ? undefined
            : async (proposal) => {
                const revision = await commit(proposal);
                if (ends) throw new Error("killed");
                return revision;
              },
          options,
        ),
    };
    const allowance = new ShrinkAllowance(join(folder, "allowed-change"));
    const documents = new DocumentService(() => store, publisher, allowance);
    await documents.start();
    if (await documents.isShrinkingMeant()) embedded.meansShrinking(() => documents.shrunk());
    await embedded.start();
    return [embedded, documents];
  };
  const caller = new Caller("local", undefined, "", builtinRoles["admin"] ?? []);
  const key = { kind: "Zone", namespace: "default", name: "example.org" };
  await store.commit({
    writes: [{ key, text: JSON.stringify(zone("example.org", NAMES)), ifRevision: 0 }],
    ifHead: 0,
    cause: "{}",
    id: "first",
  });
  const size = ({ world }: Embedded): number => (world === undefined ? 0 : sizeOf(world).names);

  const [first, ending] = await start(true);
  assert.equal(size(first), NAMES + 1);
  const change = ending.apply([zone("example.org", 3)], { caller, allowShrink: true });
  await assert.rejects(change, /killed/);
  const [second, emptying] = await start(true);
  assert.equal(size(second), 4);
  // The last document is deleted: as who names it means it, that needs no word.
  await assert.rejects(emptying.delete([key], { caller }), /killed/);
  const [third] = await start();
  assert.equal(size(third), 0);

  // Nobody allowed this: somebody has put an older file in the place of the store, say.
  const { revision } = await store.head();
  const [fourth, filling] = await start();
  await filling.apply([zone("example.org", NAMES)], { caller });
  assert.equal(size(fourth), NAMES + 1);
  const text = JSON.stringify(zone("example.org", 3));
  const written = await store.get(key);
  await store.commit({
    writes: [{ key, text, ifRevision: written?.revision ?? 0 }],
    ifHead: revision + 1,
    ...{ cause: "{}", id: "foreign" },
  });
  const [fifth] = await start();
  assert.match(fifth.fileErrors.join(), /of 21 names that are served it leaves 4 /);
  assert.equal(size(fifth), NAMES + 1);
});
