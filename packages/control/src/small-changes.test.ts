// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { encodeRecords, parseMasterFile, parseName, type ZoneRecord } from "@meridian/dns";
import { encodeZoneCopyFacts, zoneCopyPath, type InputFile } from "@meridian/model";
import { Section, applySectionDelta, openSection, type ManifestSection } from "@meridian/snapshot";
import { SnapshotStore } from "@meridian/snapshot/disk";
import { FileCompiler } from "./file-compiler.ts";
import type { AcceptedLoad, LoadOutcome } from "./file-load.ts";
import {
  heldAfter,
  withChange,
  type HeldParts,
  type ServedModel,
  type ServedParts,
} from "./served-model.ts";
import type { CompiledSerial } from "./zone-history.ts";

// The twin is a compiler that knows nothing of what was before but what is published: it compiles everything anew.

const FILES = 4;
const SEED = 99;

type Documents = Map<string, object>;

function document(kind: string, name: string, spec: object): object {
  return { apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec };
}

/** Spread over files that are equal as long as their documents are. */
function filesOf(documents: Documents): InputFile[] {
  const lines: string[][] = Array.from({ length: FILES }, () => []);
  const isCopy = (id: string): boolean => id.startsWith("Copy/");
  for (const [id, each] of [...documents].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (!isCopy(id))
      lines[(id.charCodeAt(id.length - 1) + id.length) % FILES]?.push(JSON.stringify(each));
  const copies = [...documents].filter(([id]) => isCopy(id));
  return [
    ...lines.map((each, index) => {
      const text = each.join("\n");
      return { path: `\0${index}.jsonl`, bytes: Buffer.from(text), version: text };
    }),
    ...copies.map(([id, each]) => copyFile(id, each)),
  ];
}

const COPY_PARTS = 3;

/** Of the copy of a secondary zone: `Copy/` is its facts, with a number a part of it, by lines of a master file. */
function copyFile(id: string, content: object): InputFile {
  const version = JSON.stringify(content);
  const part = id.slice("Copy/".length);
  if (part === "") {
    const facts = { partCount: COPY_PARTS, ...content, expiresSeconds: version.length };
    return { path: zoneCopyPath("m.test"), bytes: encodeZoneCopyFacts(facts), version };
  }
  const records: ZoneRecord[] = [];
  const text = Object.values(content).join("\n");
  const origin = parseName("m.test.");
  assert(origin instanceof Uint8Array);
  const mistakes = parseMasterFile(Buffer.from(`${text}\n`), {
    ...{ origin, defaultTtl: 60, fileName: "copy", include: () => new Uint8Array(0) },
    onRecord: (owner, type, ttl, rdata) =>
      records.push({ owner: owner.slice(), type, ttl, rdata: rdata.slice() }),
  });
  assert.deepEqual(mistakes, []);
  return { path: zoneCopyPath("m.test", Number(part)), bytes: encodeRecords(records), version };
}

function initialDocuments(): Documents {
  const documents: Documents = new Map();
  const put = (kind: string, name: string, spec: object): void => {
    documents.set(`${kind}/${name}`, document(kind, name, spec));
  };
  const nameServers = [{ name: "ns1.a.test", addresses: ["192.0.2.53"] }];
  put("Zone", "a", {
    origin: "a.test",
    nameServers,
    records: [
      { name: "static", type: "A", values: ["192.0.2.80"] },
      { name: "cut", type: "NS", values: ["ns.elsewhere.test."] },
    ],
  });
  put("Zone", "b", { origin: "b.test", nameServers: [{ name: "ns.a.test" }] });
  put("Zone", "m", {
    origin: "m.test",
    secondary: { primaries: [{ address: "192.0.2.1" }] },
    transfers: {},
  });
  documents.set("Copy/", { a: 1 });
  documents.set("Copy/0", {
    soa: "@ SOA ns h 1 2 3 4 5",
    ns: "@ NS ns",
    glue: "ns A 192.0.2.1",
    sub: "sub NS ns.sub",
  });
  for (let part = 1; part < COPY_PARTS; part++) documents.set(`Copy/${part}`, {});
  put("Site", "eu", { country: "DE", continent: "EU", failureDomains: ["eu-1"] });
  put("HealthCheck", "web", { http: { path: "/" } });
  for (let pool = 0; pool < 5; pool++)
    put("Pool", `pool-${pool}`, { members: { m: { address: `192.0.2.${pool + 1}` } } });
  put("Pool", "hosted", { members: { h: { address: "target.example.net" } } });
  for (let policy = 0; policy < 4; policy++)
    put("TrafficPolicy", `policy-${policy}`, weighted([policy, policy + 1], 1));
  for (let name = 0; name < 300; name++)
    put("Record", `r${name}`, {
      name: `n${name}.${name % 3 === 0 ? "deep.a" : "b"}.test`,
      types: ["A"],
      policy: `policy-${name % 4}`,
    });
  return documents;
}

function weighted(pools: readonly number[], weight: number): object {
  const branches = pools.map((pool, index) => ({ pool: `pool-${pool}`, weight: weight + index }));
  return { root: "root", nodes: { root: { weighted: { branches } } } };
}

const owners = [
  "x.a.test",
  "y.a.test",
  "*.a.test",
  "one.two.three.a.test",
  "two.three.a.test",
  "below.cut.a.test",
  "static.a.test",
  "ns1.a.test",
  "a.test",
  "n3.deep.a.test",
  "z.b.test",
  "w.c.test",
  "sub.b.test",
  "nowhere.test",
];

/** Changes one thing or a few; some of it cannot be. */
function change(documents: Documents, below: (bound: number) => number): Documents {
  const next = new Map(documents);
  const put = (kind: string, name: string, spec: object): void => {
    next.set(`${kind}/${name}`, document(kind, name, spec));
  };
  const pick = <Each>(all: readonly Each[]): Each => {
    const found = all[below(all.length)];
    assert(found !== undefined);
    return found;
  };
  for (let left = 1 + below(3); left > 0; left--) {
    const step = below(30);
    if (step > 24) {
      const part = below(COPY_PARTS);
      const name = `${pick(["x", "y", "*", "deep.x", "ns.sub"])}.${part}`;
      const line = pick([
        `${name} A 192.0.2.${below(3)}`,
        `${name} AAAA 2001:db8::${below(3)}`,
        `${name} 5 TXT "${below(3)}"`,
        `c${part} CNAME x`,
        `@ ${below(3)} MX 1 x`,
        `d${part} NS x`,
      ]);
      const before = next.get(`Copy/${part}`) ?? {};
      const after: Record<string, string> = {
        ...before,
        ...(part === 0 ? { soa: `@ SOA ns h ${below(99)} 2 3 4 5` } : {}),
      };
      if (below(3) === 0) delete after[`l${below(4)}`];
      else after[`l${below(4)}`] = line;
      // One part has the owners that no other has.
      next.set(`Copy/${part}`, after);
      next.set("Copy/", { ...next.get("Copy/"), [`x${below(9)}`]: "" });
    } else if (step > 20) {
      const set = `RecordSet/s${below(5)}`;
      if (below(3) === 0) next.delete(set);
      else {
        const [type, values] = pick([
          ["A", ["192.0.2.9", "192.0.2.10"]],
          ["TXT", ["said"]],
          ["TXT", [`"${below(3)}"`, "b"]],
          ["CNAME", ["x.a.test."]],
          ["NS", ["ns.elsewhere.test."]],
          ["MX", ["10 broken"]],
          ["MX", [`${below(3)} x.b.test.`]],
        ] as const);
        const ttl = pick([{}, { ttl: "5s" }]);
        put("RecordSet", set.slice("RecordSet/".length), {
          name: pick(owners),
          type,
          values,
          ...ttl,
        });
      }
    } else if (step < 8) {
      const types = pick([["A"], ["A"], ["AAAA"], ["A", "AAAA"], ["CNAME"], ["HTTPS"], ["SRV"]]);
      const target = pick([
        { policy: `policy-${below(5)}` },
        { pool: `pool-${below(6)}` },
        { pool: "hosted" },
      ]);
      const ttl = pick([{}, { ttl: { min: "5s", max: "30s" } }]);
      put("Record", `c${below(6)}`, { name: pick(owners), types, ...target, ...ttl });
    } else if (step < 11) next.delete(`Record/${pick(["c", "r"])}${below(6)}`);
    else if (step < 14) {
      const members = Object.fromEntries(
        Array.from({ length: 1 + below(3) }, (_, index) => [
          `m${index}`,
          { address: `198.51.100.${below(250)}`, weight: below(5), ...pick([{}, { site: "eu" }]) },
        ]),
      );
      put("Pool", `pool-${below(6)}`, { members, ...pick([{}, { healthCheck: "web" }]) });
    } else if (step < 17)
      put("TrafficPolicy", `policy-${below(5)}`, weighted([below(6)], below(9)));
    else if (step === 17) next.delete(pick([`Pool/pool-${below(6)}`, `TrafficPolicy/policy-4`]));
    else if (step === 18) {
      if (below(2) === 0) next.delete("Zone/c");
      else
        put("Zone", "c", {
          origin: pick(["c.test", "c.test", "sub.b.test"]),
          nameServers: [{ name: "ns.a.test" }],
        });
    } else if (step === 19)
      put("Pool", "hosted", { members: { h: { address: `h${below(3)}.test` } } });
    else put("HealthCheck", "web", { http: { path: `/${below(3)}` } });
  }
  return next;
}

interface Held {
  /** Those of the store, where several controls share it. */
  readonly serials?: readonly CompiledSerial[];
  readonly published: readonly ManifestSection[];
  readonly held: HeldParts | undefined;
  readonly model: ServedModel | undefined;
}

function load(
  compiler: FileCompiler,
  stored: readonly InputFile[],
  { published, held, serials }: Held,
  isTrial = false,
): LoadOutcome {
  return compiler.load({
    nowMs: 0,
    seed: SEED,
    published,
    serialBase: 2026_01_01_00,
    servedCount: 1,
    allowEmpty: true,
    isTrial,
    stored,
    held,
    icmpUnavailable: undefined,
    serials,
  });
}

function names({ sections }: AcceptedLoad): string[] {
  return sections.map(({ kind, name }) => `${kind} ${name}`);
}

/** What sections are said to be made of makes them; how many there are. */
function assertMade(folder: string, { sections }: AcceptedLoad): number {
  const store = new SnapshotStore(folder);
  let made = 0;
  for (const { name, source } of sections) {
    if (source === undefined) continue;
    const bytes = store.readSection(source.base);
    assert(bytes instanceof SharedArrayBuffer);
    const base = openSection(bytes);
    assert(base instanceof Section);
    const section = applySectionDelta(source.delta, base);
    assert(section instanceof SharedArrayBuffer);
    assert.equal(hash("sha256", new Uint8Array(section)), name);
    made += 1;
  }
  return made;
}

function bySerialKey(serials: readonly CompiledSerial[]): CompiledSerial[] {
  return serials.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** By name, without the places of documents: an unchanged document may be told at its old line. */
function plain(parts: ServedParts): unknown {
  const text = (values: ReadonlyMap<string, unknown>): unknown =>
    [...values]
      .map(([key, value]) => [
        key,
        JSON.stringify(value, (name, each: unknown) =>
          name === "source" ? undefined : each instanceof Map ? [...each] : each,
        ),
      ])
      .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1));
  const { pools, policies, sites, checks, documentCount } = parts;
  return [text(pools), text(policies), text(sites), text(checks), documentCount];
}

function run(
  seed: number,
  folder: string,
  isShared: boolean,
): { steps: number; small: number; refused: number; made: number } {
  const random = new Pcg32(seed);
  const below = (bound: number): number => Math.floor((random.next32() / 2 ** 32) * bound);
  const folders = { paths: [join(folder, "none")], snapshotFolder: folder };
  const compiler = new FileCompiler(folders);
  let documents = initialDocuments();
  let held: Held = {
    published: [],
    held: undefined,
    model: undefined,
    ...(isShared ? { serials: [] } : {}),
  };
  const figures = { steps: 0, small: 0, refused: 0, made: 0 };
  for (let step = 0; step < 30; step++) {
    const wanted = step === 0 ? documents : change(documents, below);
    const files = filesOf(wanted);
    const twin = load(new FileCompiler(folders), files, { ...held, held: undefined });
    if (below(4) === 0) load(compiler, files, held, true);
    const outcome = load(compiler, files, held);
    figures.steps += 1;
    const codes = ({ problems, errors }: LoadOutcome): unknown => [
      errors,
      problems.flatMap(({ severity, message }) => (severity === "error" ? [message] : [])).sort(),
    ];
    assert.deepEqual(codes(outcome), codes(twin));
    assert.equal(outcome.accepted === undefined, twin.accepted === undefined);
    if (outcome.accepted === undefined || twin.accepted === undefined) {
      figures.refused += 1;
      continue;
    }
    const { accepted } = outcome;
    assert.deepEqual(names(accepted), names(twin.accepted), `step ${step}`);
    figures.made += assertMade(folder, accepted);
    assert.deepEqual(bySerialKey(accepted.serials), bySerialKey(twin.accepted.serials));
    assert.deepEqual(accepted.claims, twin.accepted.claims);
    assert.deepEqual(accepted.resolvedMembers, twin.accepted.resolvedMembers);
    assert.deepEqual(new Set(accepted.hostNames), new Set(twin.accepted.hostNames));
    if (accepted.parts.print === undefined) figures.small += 1;
    documents = wanted;
    const serials = new Map(held.serials?.map((serial) => [serial.key, serial]));
    for (const serial of accepted.serials) serials.set(serial.key, serial);
    held = {
      ...(isShared ? { serials: [...serials.values()] } : {}),
      published: accepted.sections,
      held: heldAfter(held.held, accepted.parts),
      model: withChange(held.model, accepted.parts),
    };
    assert(held.model !== undefined);
    assert.deepEqual(plain(held.model), plain(withChange(undefined, twin.accepted.parts)));
    const { items } = compiler.records({ limit: 1000 }, 0, files);
    assert.equal(
      items.length,
      [...documents.keys()].filter((id) => id.startsWith("Record/")).length,
    );
  }
  return figures;
}

for (const isShared of [false, true])
  test(`a small change ${isShared ? "of a shared store " : ""}compiles to the very sections of a whole compile, and is refused with the same words`, (context) => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-small-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    for (const name of ["none", "sections", "history"]) mkdirSync(join(folder, name));
    const total = { steps: 0, small: 0, refused: 0, made: 0 };
    for (let seed = 1; seed <= 5; seed++) {
      try {
        const figures = run(seed, folder, isShared);
        total.steps += figures.steps;
        total.small += figures.small;
        total.refused += figures.refused;
        total.made += figures.made;
      } catch (error) {
        throw new Error(`Seed ${seed}`, { cause: error });
      }
    }
    context.diagnostic(JSON.stringify(total));
    // Both ways are gone often enough to compare them.
    assert.ok(total.small > total.steps / 5, JSON.stringify(total));
    assert.ok(total.refused > 0, JSON.stringify(total));
    assert.ok(total.made > total.small, JSON.stringify(total));
  });

test("a change in files that are long to read gives way to answers, though it is a small one", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-small-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["none", "sections", "history"]) mkdirSync(join(folder, name));
  let yielded = 0;
  const compiler = new FileCompiler(
    { paths: [join(folder, "none")], snapshotFolder: folder },
    () => {},
    () => (yielded += 1),
  );
  const documents = [...initialDocuments()].filter(([id]) => !id.startsWith("Copy/"));
  const base = documents.filter(([id]) => !id.startsWith("Record/"));
  const many = Array.from({ length: 3000 }, (_, index): [string, object] => [
    `Record/long${index}`,
    document("Record", `long${index}`, { name: `long${index}.b.test`, pool: "pool-1" }),
  ]);
  const few = documents.filter(([id]) => id.startsWith("Record/"));
  const filesWith = (pool: string): InputFile[] =>
    [base, many, few].map((each, index) => {
      const [first, ...rest] = each.map(([, one]) => JSON.stringify(one));
      const changed = index === 0 ? first : first?.replace(/"policy":"[^"]*"|"pool":"[^"]*"/, pool);
      const text = [changed, ...rest].join("\n");
      return { path: `\0${index}.jsonl`, bytes: Buffer.from(text), version: text };
    });
  let held: Held = { published: [], held: undefined, model: undefined };
  const loadNext = (files: readonly InputFile[]): AcceptedLoad => {
    const { accepted, errors } = load(compiler, files, held);
    assert.ok(accepted !== undefined, errors.join("; "));
    held = {
      published: accepted.sections,
      held: heldAfter(held.held, accepted.parts),
      model: withChange(held.model, accepted.parts),
    };
    return accepted;
  };
  const before = filesWith('"pool":"pool-2"');
  const after = filesWith('"pool":"pool-3"');
  loadNext(before);
  assert.equal(yielded, 1);
  const [zones, long, short] = before;
  const [, longAfter, shortAfter] = after;
  assert.ok(zones && long && short && longAfter && shortAfter);
  assert.equal(loadNext([zones, long, shortAfter]).parts.print, undefined);
  assert.equal(yielded, 1);
  assert.equal(loadNext([zones, longAfter, shortAfter]).parts.print, undefined);
  assert.equal(yielded, 2);
});

test("an updated record, a transferred change and a later end of a copy are small changes; a cut is none", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-small-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["none", "sections", "history"]) mkdirSync(join(folder, name));
  const compiler = new FileCompiler({ paths: [join(folder, "none")], snapshotFolder: folder });
  const documents = initialDocuments();
  let held: Held = { published: [], held: undefined, model: undefined };
  const isSmall = (): boolean => {
    const { accepted, errors } = load(compiler, filesOf(documents), held);
    assert.ok(accepted !== undefined, errors.join("; "));
    held = {
      published: accepted.sections,
      held: heldAfter(held.held, accepted.parts),
      model: withChange(held.model, accepted.parts),
    };
    return accepted.parts.print === undefined;
  };
  assert.equal(isSmall(), false);
  const put = (spec: object): boolean => {
    documents.set("RecordSet/s", document("RecordSet", "s", spec));
    return isSmall();
  };
  const challenge = { name: "_acme-challenge.a.test", type: "TXT" };
  assert.equal(put({ ...challenge, values: ["one"] }), true);
  assert.equal(put({ ...challenge, values: ["two", "three"], ttl: "5s" }), true);
  assert.equal(put({ name: "a.test", type: "TXT", values: ["at the apex"] }), true);
  assert.equal(put({ name: "sub.a.test", type: "NS", values: ["ns.elsewhere.test."] }), false);
  documents.delete("RecordSet/s");
  assert.equal(isSmall(), false);
  const copy = (facts: object, part: object): boolean => {
    documents.set("Copy/", facts);
    documents.set("Copy/1", part);
    return isSmall();
  };
  assert.equal(copy({ a: 2 }, { l: "x.1 A 192.0.2.1" }), true);
  assert.equal(copy({ later: "" }, { l: "x.1 A 192.0.2.1" }), true);
  assert.equal(copy({ later: "", a: 1 }, { l: "x.1 NS ns.elsewhere.test." }), false);
});
