// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRdata, typeToText } from "@meridian/dns";
import { nameText } from "./checks/zones.ts";
import { loadModel } from "./load.ts";

interface Given {
  readonly origin: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: object;
}

const server = { name: "ns.example.net" };

function load(zones: readonly Given[]): ReturnType<typeof loadModel> {
  const text = zones
    .map(({ origin, namespace = "default", labels = {}, spec }) =>
      JSON.stringify({
        ...{ apiVersion: "meridian.dev/v1alpha1", kind: "Zone" },
        metadata: { name: origin, namespace, labels },
        spec: {
          ...{ origin, transfers: {} },
          ...(spec !== undefined && "catalog" in spec ? {} : { nameServers: [server] }),
          ...spec,
        },
      }),
    )
    .join("\n---\n");
  return loadModel([{ path: "zones.yaml", bytes: Buffer.from(text) }], { now: 0 });
}

function catalogOf(zones: readonly Given[]): string[] {
  const { model, problems } = load(zones);
  assert.ok(model !== undefined, problems.map(({ message }) => message).join("\n"));
  const records = [...(model.zones.get("catalog.example")?.records ?? [])];
  return records
    .filter(({ type }) => typeToText(type) !== "SOA")
    .map(({ owner, type, ttl, rdata }) =>
      [nameText(owner), ttl, typeToText(type), formatRdata(type, rdata)].join(" "),
    )
    .toSorted();
}

const catalog: Given = { origin: "catalog.example", spec: { catalog: { labels: { by: "us" } } } };
const labels = { by: "us", more: "x" };

test("a catalog lists the zones of its namespace that have its labels and may be transferred", () => {
  const listed = catalogOf([
    catalog,
    { origin: "a.example", labels },
    { origin: "unlabelled.example" },
    { origin: "others.example", labels, namespace: "others" },
    { origin: "kept.example", labels, spec: { transfers: undefined } },
    { origin: "second.example", labels, spec: { catalog: {} } },
  ]);
  assert.deepEqual(listed, [
    "b8e7453371a024daae06f3164492c0af.zones.catalog.example 0 PTR a.example.",
    "catalog.example 0 NS invalid.",
    'version.catalog.example 0 TXT "2"',
  ]);
});

test("without labels it lists all, and each is called the same whatever comes or goes beside it", () => {
  const all = { origin: "catalog.example", spec: { catalog: {} } };
  const [a, b] = [{ origin: "a.example", labels }, { origin: "b.example" }];
  const both = catalogOf([all, a, b]);
  assert.equal(both.length, 4);
  const ofA = (lines: readonly string[]): string | undefined =>
    lines.find((line) => line.endsWith(" a.example."));
  assert.equal(ofA(catalogOf([all, a])), ofA(both));
});

test("a zone says of which group it is, and which catalog it goes over to", () => {
  const moved = { transfers: { catalog: { group: "signed", moveTo: "new.example" } } };
  const stays = { transfers: { catalog: { moveTo: "Catalog.example" } } };
  const lines = catalogOf([
    { origin: "catalog.example", spec: { catalog: {} } },
    { origin: "a.example", spec: moved },
    { origin: "b.example", spec: stays },
  ]).map((line) => line.replace(/[0-9a-f]{32}/, "ID"));
  assert.deepEqual(
    lines.filter((line) => /^(group|coo)/.test(line)),
    [
      "coo.ID.zones.catalog.example 0 PTR new.example.",
      'group.ID.zones.catalog.example 0 TXT "signed"',
    ],
  );
});

test("a catalog holds nothing else", () => {
  const { problems } = load([
    { origin: "catalog.example", spec: { catalog: {}, nameServers: [server] } },
  ]);
  assert.match(problems.map(({ message }) => message).join(), /no nameServers, records, file/);
});
