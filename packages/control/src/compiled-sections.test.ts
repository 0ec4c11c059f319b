// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Section, makeManifest, openSection } from "@meridian/snapshot";
import { SnapshotStore, manifestSection } from "@meridian/snapshot/disk";
import {
  writePolicies,
  writePools,
  type NamedPart,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { CompiledSections } from "./compiled-sections.ts";

const SEED = 7;
const POOLS = 8000;

/** More than half a megabyte of pools, one of which has another dial in each revision. */
function poolsAt(revision: number): NamedPart {
  const written = writePools(
    Array.from({ length: POOLS }, (_, index) => ({
      name: `default/pool-${index}`,
      members: [
        {
          ...{ name: "a", ipv4: Uint8Array.of(192, 0, 2, 1), resolve: false },
          ...{ weight: 1, priority: 0, serve: 0, isChecked: true, unknownServes: false },
          ...{ site: "here", failureDomain: "a", capacity: 0, port: 0 },
        },
      ],
      answers: 0,
      dial: index === 5 ? revision : 1000,
      minHealthy: undefined,
    })),
  );
  const section = openSection(written.buffer);
  assert(section instanceof Section);
  return { written, section };
}

test("of a large section what makes it is handed and kept, and the section itself is written when nobody waits", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-compiled-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["sections", "history"]) mkdirSync(join(folder, name));
  const compiled = new CompiledSections(folder, () => {});
  const policies = writePolicies([]);
  const reader = new SnapshotStore(folder);
  const keep = (revision: number, sections: readonly WrittenSection[]): void => {
    compiled.remember(sections);
    const manifest = makeManifest(revision, SEED, sections.map(manifestSection), 1);
    compiled.keep({ manifest, written: [], served: [] });
  };
  const deltas = (): string[] =>
    readdirSync(join(folder, "sections")).filter((file) => file.endsWith(".delta"));
  let before = poolsAt(1);
  let published = [before.written, policies].map(manifestSection);
  assert.equal(
    compiled.handAll([before.written, policies], { published: [], isTrial: false })[0]?.content,
    undefined,
  );
  keep(1, [before.written, policies]);
  assert.ok(before.written.buffer.byteLength > 512 * 1024);
  for (let revision = 2; revision <= 4; revision++) {
    const after = poolsAt(revision);
    const sections = [after.written, policies];
    const [handed, same] = compiled.handAll(sections, { published, isTrial: false }, [
      { before, after },
    ]);
    assert.equal(handed?.source?.base, before.written.name);
    assert.ok((handed?.source?.delta.length ?? 0) < 1000);
    assert.equal(handed?.content, undefined);
    assert.deepEqual(same, manifestSection(policies));
    keep(revision, sections);
    assert.equal(deltas().length, revision - 1);
    // Whoever starts now, and whoever has been there.
    for (const store of [reader, new SnapshotStore(folder)])
      assert.deepEqual(store.load().stored?.sections, sections);
    before = after;
    published = sections.map(manifestSection);
  }
  assert.equal(compiled.hasDeltas, true);
  // What fails is tried again.
  const later = join(folder, "sections", `${before.written.name}.${process.pid}.later.new`);
  mkdirSync(later);
  await compiled.makeWhole();
  assert.equal(compiled.hasDeltas, true);
  rmSync(later, { recursive: true });
  await compiled.makeWhole();
  assert.equal(compiled.hasDeltas, false);
  assert.ok(!deltas().includes(`${before.written.name}.delta`));
  assert.deepEqual(reader.load().stored?.sections, [before.written, policies]);
  const after = poolsAt(5);
  // What is only tried is there for who asked, and not for long.
  const trial = { published, isTrial: true };
  const [tried] = compiled.handAll([after.written, policies], trial, [{ before, after }]);
  assert.equal(tried?.source?.base, before.written.name);
  assert.equal(compiled.hasDeltas, false);
  assert.deepEqual(reader.readSection(after.written.name), after.written.buffer);
  compiled.prune();
  assert.equal(typeof new SnapshotStore(folder).readSection(after.written.name), "string");
  // Not of what the asker has not.
  const [whole] = compiled.handAll([after.written, policies], { published: [], isTrial: false }, [
    { before, after },
  ]);
  assert.equal(whole?.source, undefined);
  assert.equal(compiled.hasDeltas, false);
});
