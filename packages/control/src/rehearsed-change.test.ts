// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FileCompiler } from "./file-compiler.ts";
import type { LoadOutcome, LoadRequest } from "./file-load.ts";
import { heldAfter } from "./served-model.ts";

const ZONE = {
  apiVersion: "meridian.dev/v1alpha1",
  kind: "Zone",
  metadata: { name: "a" },
  spec: { origin: "a.test", nameServers: [{ name: "ns.example.net" }] },
};

test("rehearse() compiles a change of which nothing is left", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-rehearsed-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["none", "sections", "history"]) mkdirSync(join(folder, name));
  const compiler = new FileCompiler({ paths: [join(folder, "none")], snapshotFolder: folder });
  const load = (zone: object, more: Partial<LoadRequest> = {}): LoadOutcome => {
    const text = JSON.stringify(zone);
    return compiler.load({
      ...{ nowMs: 0, seed: 7, published: [], serialBase: 1, servedCount: 1, allowEmpty: true },
      ...{ isTrial: false, held: undefined, icmpUnavailable: undefined },
      stored: [{ path: "\0stored.jsonl", bytes: Buffer.from(text), version: text }],
      ...more,
    });
  };
  // There is nothing yet to compile it from.
  assert.equal(compiler.rehearse(), false);
  const { accepted } = load(ZONE);
  assert.ok(accepted !== undefined);
  const files = readdirSync(join(folder, "sections")).toSorted();
  for (let pass = 0; pass < 3; pass++) assert.equal(compiler.rehearse(), true);
  assert.deepEqual(readdirSync(join(folder, "sections")).toSorted(), files);
  const held = heldAfter(undefined, accepted.parts);
  const next = load(ZONE, { published: accepted.sections, held });
  assert.ok(next.accepted !== undefined);
  // It is compiled from what was there before, and the same comes of it.
  assert.equal(next.accepted.parts.print, undefined);
  const names = (sections: readonly { readonly name: string }[]): string[] =>
    sections.map(({ name }) => name);
  assert.deepEqual(names(next.accepted.sections), names(accepted.sections));
});
