// SPDX-License-Identifier: Apache-2.0

// RFC 1035 §5: what is exported as a master file, other name servers read, and what is imported again means the same zone.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Pcg32 } from "@meridian/core";
import { diffZones, formatMasterFile, formatRecord, type ZoneRecord } from "@meridian/dns";
import { formatProblem, importMasterFile, loadModel, yamlText } from "@meridian/model";
import { needs, programPath } from "../needs.ts";
import { randomZone, type RandomZone } from "./random-zone.ts";

const SEED = 5;
const ZONES = 100;
const CHECKED_ZONES = 10;

test("import(export(zone)) is the zone, over random zones", () => {
  for (const zone of zonesOf(ZONES)) {
    const records = imported(zone.text, zone.origin);
    const again = imported(formatMasterFile(records), undefined);
    const differences = diffZones(records, again).map(({ side, record }) => [
      side,
      formatRecord({ ...record, class: 1 }),
    ]);
    assert.deepEqual(differences, [], zone.text);
    assert.equal(formatMasterFile(again), formatMasterFile(records), "serials, too");
    assert.equal(records.length, zone.text.split("\n").length - 1, zone.text);
  }
});

const exports = { "named-checkzone": "bind9-utils", kzonecheck: "knot-dnssecutils" } as const;

for (const [program, aptPackage] of Object.entries(exports)) {
  test(`${program} takes what is exported`, { skip: needs(program, aptPackage) }, (t) => {
    const folder = temporaryFolder(t);
    for (const { origin, text } of zonesOf(CHECKED_ZONES)) {
      const file = join(folder, "zone");
      writeFileSync(file, formatMasterFile(imported(text, origin)));
      const given = program === "kzonecheck" ? ["-o", origin, file] : ["-i", "none", origin, file];
      const { status, stdout, stderr } = spawnSync(programPath(program) ?? program, given, {
        encoding: "utf8",
      });
      assert.equal(status, 0, `${stdout}${stderr}\n${text}`);
    }
  });
}

/** The records that are served of the document that a master file becomes. */
function imported(text: string, origin: string | undefined): ZoneRecord[] {
  const bytes = new TextEncoder().encode(text);
  const { documents, unmapped, mistakes } = importMasterFile({
    path: "db",
    readFile: () => bytes,
    ...(origin === undefined ? {} : { origin }),
  });
  assert.deepEqual([mistakes, unmapped], [[], []]);
  const written = documents.map((document) => yamlText(document)).join("---\n");
  const { model, problems } = loadModel(
    [{ path: "zone.yaml", bytes: new TextEncoder().encode(written) }],
    { now: 0 },
  );
  assert.ok(model !== undefined, problems.map(formatProblem).join("\n"));
  return [...model.zones.values()].flatMap(({ records }) => [...records]);
}

function zonesOf(count: number): RandomZone[] {
  const random = new Pcg32(SEED);
  return Array.from({ length: count }, (_, index) => randomZone(random, index, count));
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-zones-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
