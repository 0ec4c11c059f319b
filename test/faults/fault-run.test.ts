// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { needs } from "../needs.ts";
import { faultRun } from "./fault-run.ts";
import { needsLab } from "./lab.ts";
import { needsPreloads } from "./preloads.ts";

const SECONDS = 30;

test(
  "three controls on three of etcd and four edges lose no write and answer rightly while things break",
  { skip: needsLab() || needsPreloads() || needs("etcd", "etcd-server") },
  async (t) => {
    const said: string[] = [];
    const seed = Date.now() % 1_000_000;
    const figures = await faultRun({ seconds: SECONDS, seed, say: (text) => said.push(text) });
    t.diagnostic(`seed ${seed}: ${said.join(", ")}`);
    t.diagnostic(`${figures.acknowledged} writes acknowledged, ${figures.answers} answers`);
    assert.deepEqual(figures.complaints, []);
    assert.ok(figures.acknowledged > 0 && figures.operations > 0);
    assert.ok((figures.replays.sample.equal ?? 0) > 0, "some answers are asked for again");
    assert.ok(figures.ages.calm.judged > 0, "some answers are judged by their age");
  },
);
