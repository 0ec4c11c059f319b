// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ManualClock, MeridianError } from "@meridian/core";
import { classifierCompiler } from "./data-sets/classifier-compiler.ts";
import { DataSets } from "./data-sets/data-sets.ts";
import { readLatencyCsv } from "./data-sets/latency-table.ts";
import { LatencySamples, RECOMPILE_MS_MIN, REPORT_ROWS_MAX } from "./latency-samples.ts";
import { latencyDocuments } from "./testing/latency-documents.ts";
import { clientOf, orderOf } from "./policies/classify-sample.ts";
import { compileModel, modelOf } from "./testing/control-fixture.ts";
import { worldOf } from "@meridian/snapshot";

const nowMs = Date.UTC(2026, 0, 2);

function newFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-latency-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function newSamples(context: TestContext, folder: string, bytesMax?: number): LatencySamples {
  const samples = new LatencySamples({
    folder,
    onChange: () => {},
    clock: new ManualClock(nowMs),
    ...(bytesMax === undefined ? {} : { bytesMax }),
  });
  context.after(() => samples.close());
  return samples;
}

test("accept() takes CSV and JSON and keeps both as rows of a data set", (context) => {
  const samples = newSamples(context, join(newFolder(context), "latency"));
  assert.equal(samples.pathOf("rtt"), undefined);
  const csv =
    "prefix,site,rtt_ms,samples,measured_at\n192.0.2.0/24,eu,12.5,3,2026-01-01T00:00:00Z\n";
  assert.equal(samples.accept("rtt", csv), 1);
  assert.equal(samples.accept("rtt", [{ prefix: "2001:db8::/32", site: "us", rtt_ms: 80 }]), 1);
  const path = samples.pathOf("rtt");
  assert.ok(path !== undefined);
  assert.equal(
    readFileSync(path, "utf8"),
    "192.0.2.0/24,eu,12.5,3,2026-01-01T00:00:00.000Z\n2001:db8::/32,us,80,1,2026-01-02T00:00:00.000Z\n",
  );
  assert.equal(samples.version, 2);
});

test("accept() takes all rows or none, and names the first that is wrong", (context) => {
  const samples = newSamples(context, newFolder(context));
  const good = { prefix: "192.0.2.0/24", site: "eu", rtt_ms: 1 };
  const wrong: (readonly [unknown, RegExp])[] = [
    [
      "192.0.2.0/24,eu,1\n192.0.2.1/24,eu,1\n",
      /row 2 is "192.0.2.1\/24,eu,1", expected prefix,site/,
    ],
    [[good, { ...good, rtt_ms: -1 }], /row 2 is "192.0.2.0\/24,eu,-1,,"/],
    [[{ ...good, rtt_ms: "NaN" }], /row 1/],
    [[{ ...good, site: "eu\n192.0.2.0/24" }], /row 1/],
    [[{ ...good, site: "eu,1" }], /row 1/],
    [[{ ...good, samples: 1.5 }], /row 1/],
    [[{ ...good, rtt: 1 }], /row 1 has the member "rtt", expected prefix, site/],
    [[good, 7], /row 2 is 7, expected an object/],
    [{ rows: [good] }, /no JSON array/],
    [undefined, /no JSON array/],
    [[{ ...good, measured_at: "2026-01-02T00:06:00Z" }], /measured at 2026-01-02T00:06:00Z/],
    [Array.from({ length: REPORT_ROWS_MAX + 1 }, () => good), /it has 10001 rows/],
  ];
  for (const [body, message] of wrong) {
    assert.throws(
      () => samples.accept("rtt", body),
      (error: unknown) =>
        error instanceof MeridianError &&
        error.code === "LATENCY_REFUSED" &&
        message.test(error.message),
      String(message),
    );
  }
  assert.equal(samples.pathOf("rtt"), undefined);
  assert.equal(samples.version, 0);
});

test("a file that would grow too large keeps one row for each prefix and site", (context) => {
  const samples = newSamples(context, newFolder(context), 1000);
  for (let minute = 0; minute < 59; minute++) {
    const time = `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;
    samples.accept(
      "rtt",
      `192.0.2.0/24,eu,${100 - minute},1,${time}\n192.0.2.0/24,us,50,1,${time}`,
    );
  }
  const path = samples.pathOf("rtt") ?? "";
  assert.ok(statSync(path).size <= 1000);
  const rows = readLatencyCsv(readFileSync(path));
  assert.ok(rows.length < 30);
  const newest = rows.findLast(({ site }) => site === "eu");
  assert.equal(newest?.measuredAt, Date.UTC(2026, 0, 1, 0, 58));
  const many = Array.from({ length: 100 }, (_, index) => `10.${index}.0.0/16,eu,1`).join("\n");
  assert.throws(() => samples.accept("rtt", many), /would have [0-9]+ bytes of prefixes and sites/);
});

test("reports recompile at once, then at most each ten seconds", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const clock = new ManualClock(nowMs);
  let changes = 0;
  const samples = new LatencySamples({
    folder: newFolder(context),
    onChange: () => changes++,
    clock,
  });
  const report = (): number => samples.accept("rtt", "192.0.2.0/24,eu,1");
  const pass = (ms: number): void => {
    clock.advance(ms);
    context.mock.timers.tick(ms);
  };
  report();
  pass(1);
  assert.equal(changes, 1);
  for (let second = 0; second < 9; second++) {
    report();
    pass(1000);
  }
  assert.equal(changes, 1);
  pass(RECOMPILE_MS_MIN - 9000);
  assert.equal(changes, 2);
  pass(60_000);
  assert.equal(changes, 2);
  report();
  samples.close();
  pass(60_000);
  assert.equal(changes, 2);
});

test("what was reported changes where clients go", (context) => {
  const folder = newFolder(context);
  const path = join(folder, "rtt.csv");
  writeFileSync(path, "192.0.2.0/24,eu,10\n192.0.2.0/24,us,90\n");
  const model = modelOf(latencyDocuments(path));
  const samples = newSamples(context, join(folder, "reported"));
  const classify = classifierCompiler(new DataSets(), samples);
  const order = (): number[] => {
    const world = worldOf(compileModel(model, { classify }).sections, 1);
    assert.ok(typeof world !== "string");
    const [classifier] = world.classifiers;
    assert.ok(classifier !== undefined);
    return orderOf(classifier, clientOf("192.0.2.0/24"));
  };
  assert.deepEqual(order(), [0, 1]);
  samples.accept("rtt", "192.0.2.0/24,eu,500,50,2026-01-01T00:00:00Z");
  assert.deepEqual(order(), [1, 0]);
});
