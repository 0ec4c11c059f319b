// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStoreDocument, type RolloutSpec } from "@meridian/model";
import { advance, begun, measured, ordered, served, type RolloutRun } from "./rollout-run.ts";
import { rolloutRest } from "./rollout-rest.ts";

const wave = { stable: { pool: "a" }, canary: { pool: "b" } };

function specOf(steps: readonly object[], waves = 1): RolloutSpec {
  const parsed = parseStoreDocument("Rollout", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Rollout",
    metadata: { name: "shop" },
    spec: {
      policy: "shop",
      waves: Array.from({ length: waves }, (_, index) => ({ ...wave, node: `n${index}` })),
      steps,
      prometheus: { url: "http://prometheus.example.org:9090" },
      analyses: {
        errors: {
          query: "x",
          success: { below: 1 },
          count: 3,
          interval: "10s",
          initialDelay: "5s",
        },
      },
    },
  });
  assert.ok("document" in parsed && parsed.document.kind === "Rollout", JSON.stringify(parsed));
  return parsed.document.spec;
}

function start(spec: RolloutSpec): RolloutRun {
  return advance(spec, served(advance(spec, begun("uid", { actor: "a", reason: "" }, 0), 0), 0), 0);
}

test("the earliest end is that of all pauses and analyses that are left, in all waves", () => {
  const steps = [{ setWeight: 10 }, { pause: { for: "1m" } }, { analysis: ["errors"] }];
  const spec = specOf(steps, 2);
  const run = start(spec);
  assert.deepEqual(rolloutRest(spec, run), { earliestEndMs: 2 * (60_000 + 25_000), promotions: 0 });
  const later = advance(spec, run, 60_000);
  assert.equal(rolloutRest(spec, later).earliestEndMs, 170_000);
  const [errors] = [spec.analyses["errors"]];
  assert.ok(errors !== undefined);
  const good = { kind: "value", value: 0 } as const;
  const late = measured(later, { key: "errors", analysis: errors }, good, 70_000);
  assert.equal(rolloutRest(spec, late).earliestEndMs, 70_000 + 20_000 + 85_000, "it was made late");
  const paused = ordered(
    spec,
    late,
    { verb: "pause", isFull: false, actor: "a", reason: "" },
    71_000,
  );
  assert.ok(typeof paused === "object");
  assert.deepEqual(rolloutRest(spec, paused), { promotions: 0 }, "time stands still");
});

test("where somebody has to let it go on there is no earliest end", () => {
  const spec = specOf([{ setWeight: 10 }, { pause: {} }, { setWeight: 20 }, { pause: {} }], 2);
  const run = start(spec);
  assert.deepEqual(rolloutRest(spec, run), { promotions: 4 });
  assert.deepEqual(rolloutRest(spec, undefined), { promotions: 0 });
});
