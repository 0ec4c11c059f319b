// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import {
  isStoreKind,
  parseStoreDocument,
  readRawDocuments,
  type RecoveryPlanDocument,
} from "@meridian/model";
import { member } from "../documents/document-key.ts";
import { stepsOfPlan } from "./run-steps.ts";

const folder = resolve(import.meta.dirname, "../../../../deploy/examples/recovery");

test("the plans that are shipped are right, can be run, and say what they promise and what not", () => {
  const plans = new Map<string, RecoveryPlanDocument>();
  for (const file of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, file));
    for (const { raw } of readRawDocuments({ path: file, bytes }).documents) {
      const kind = String(member(raw, "kind"));
      assert.ok(isStoreKind(kind), kind);
      const parsed = parseStoreDocument(kind, raw);
      assert.ok("document" in parsed, `${file}: ${JSON.stringify(parsed)}`);
      const { document } = parsed;
      if (document.kind === "RecoveryPlan") plans.set(document.metadata.name, document);
    }
    if (file !== "quickstart.yaml")
      for (const word of ["# Promises:", "# Cannot:", "# Data:"])
        assert.ok(bytes.includes(word), `${file} says nothing of ${word}`);
  }
  assert.ok(plans.size >= 9);
  for (const [name, { spec }] of plans) {
    assert.ok("steps" in stepsOfPlan(name, plans), name);
    assert.ok(spec.description !== undefined && spec.names.length > 0, name);
  }
});
