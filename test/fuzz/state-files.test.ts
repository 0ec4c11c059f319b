// SPDX-License-Identifier: Apache-2.0

// The files of a state folder, as a crash, a bad disk or a curious hand can leave them. Reading one never throws: it gives what is
// there or says what is wrong.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { crc32 } from "node:zlib";
import { OverlayJournal, SnapshotStore } from "@meridian/control";
import { encodeManifest, makeManifest, openSection, parseManifest } from "@meridian/snapshot";
import { writeModel } from "../conformance/test-server.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzModel } from "./seed-messages.ts";

const folder = mkdtempSync(join(tmpdir(), "meridian-fuzz-"));
for (const name of ["history", "sections"]) mkdirSync(join(folder, name));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const nowMs = Date.parse("2026-01-31T12:00:00Z");
const journalPath = join(folder, "history", `journal-${nowMs}.jsonl`);

/** An overlay and a journal as they are written. */
function writtenJournal(): { readonly overlay: Uint8Array; readonly journal: Uint8Array } {
  const journal = new OverlayJournal(folder, () => nowMs, assert.ifError);
  for (let sequence = 1; sequence <= 5; sequence++) {
    journal.record({
      sequence,
      revision: 1,
      atMs: nowMs + sequence,
      cause: { kind: "health", text: "default/web/a: refused" },
      keys: BigUint64Array.of(BigInt(sequence) << 40n),
      values: Uint32Array.of(sequence),
    });
  }
  journal.close();
  const written = {
    overlay: new Uint8Array(readFileSync(join(folder, "overlay.bin"))),
    journal: new Uint8Array(readFileSync(journalPath)),
  };
  for (const name of readdirSync(join(folder, "history"))) rmSync(join(folder, "history", name));
  return written;
}

const written = writtenJournal();

function readOverlay(bytes: Uint8Array): void {
  writeFileSync(join(folder, "overlay.bin"), bytes);
  const overlay = new OverlayJournal(folder, () => nowMs, assert.ifError).load();
  if (typeof overlay !== "string") assert.ok(overlay.slots.size * 16 < bytes.length);
}

/** The same bytes with the checksum at their end made right. */
function summed(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  if (copy.length < 4) return copy;
  const end = copy.length - 4;
  new DataView(copy.buffer).setUint32(end, crc32(copy.subarray(0, end)), true);
  return copy;
}

fuzz({
  name: "overlay-file",
  seeds: [written.overlay],
  run: (input) => {
    readOverlay(input);
    readOverlay(summed(input));
  },
});

fuzz({
  name: "overlay-journal",
  isText: true,
  seeds: [written.journal],
  words: ['"changes":[["', '"],["', "null", "[]", "{}", '"ffffffffffffffff",', "1e308", "\n"],
  run: (input) => {
    writeFileSync(journalPath, input);
    const journal = new OverlayJournal(folder, () => nowMs, assert.ifError);
    const entries = [...journal.entries()];
    assert.ok(entries.length <= input.length);
    for (const moment of [{ atMs: nowMs + 3 }, { revision: 1, sequence: 2 }]) {
      const past = journal.at(moment);
      if (typeof past === "string") continue;
      for (const [key, value] of past.slots)
        assert.ok(key >= 0n && key < 1n << 64n && value >= 0 && value <= 0xffff_ffff);
    }
  },
});

const sections = writeModel(fuzzModel);
for (const { name, buffer } of sections)
  writeFileSync(join(folder, "sections", name), new Uint8Array(buffer));
const manifest = makeManifest(
  41,
  7,
  sections.map(({ kind, key, name, buffer }) => ({
    kind,
    key: key.toString(16).padStart(16, "0"),
    name,
    bytes: buffer.byteLength,
  })),
);

fuzz({
  name: "manifest",
  isText: true,
  seeds: [Buffer.from(encodeManifest(manifest))],
  words: [
    '"sections": [',
    '"kind": ',
    '"bytes": ',
    '"key": "',
    "{",
    "}",
    "[",
    "]",
    "null",
    "1e308",
  ],
  run: (input) => {
    const parsed = parseManifest(Buffer.from(input).toString("utf8"));
    writeFileSync(join(folder, "manifest.json"), input);
    const { stored, refused } = new SnapshotStore(folder).load();
    if (typeof parsed === "string") assert.equal(stored, undefined);
    for (const { reason } of refused) assert.ok(reason.length > 0 && reason.length < 1000, reason);
    for (const { buffer } of stored?.sections ?? []) assert.ok(!("error" in openSection(buffer)));
    const opened = new SnapshotStore(folder).open();
    assert.deepEqual(
      opened.stored?.manifest.sections.map(({ name }) => name),
      stored?.sections.map(({ name }) => name),
    );
    assert.equal(opened.refused.length, refused.length);
  },
});
