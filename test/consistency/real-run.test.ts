// SPDX-License-Identifier: Apache-2.0

// Some seconds of what `npm run proof:consistency` does for minutes; MERIDIAN_LONG=1 takes one minute for each kind of store.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { findingsOf } from "./checkers.ts";
import { readHistory } from "./recorder.ts";
import { realRun, type StoreKind } from "./real-run.ts";

const SECONDS = process.env["MERIDIAN_LONG"] === "1" ? 60 : 4;

const kinds: readonly { readonly kind: StoreKind; readonly skip: string | false }[] = [
  { kind: "sqlite", skip: false },
  { kind: "etcd", skip: etcdMissing() },
];

for (const { kind, skip } of kinds)
  test(`${kind}: real processes that are killed keep every model`, { skip }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-history-"));
    try {
      const historyPath = join(folder, "history.jsonl");
      const often = { pauseMs: 20, quietMs: 1500 };
      const figures = await realRun({ kind, seconds: SECONDS, seed: 1, historyPath, ...often });
      context.diagnostic(JSON.stringify(figures));
      const history = await readHistory(historyPath);
      assert.ok(history.length > 50);
      assert.deepEqual(findingsOf(history), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
