// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ManualClock, type Clock } from "@meridian/core";
import {
  Admin,
  DIAL_SHIFT,
  Verdict,
  KeyedSlots,
  type StoredSlots,
  adminOf,
} from "@meridian/snapshot";
import { Embedded } from "./embedded.ts";
import type { Publication } from "./embedded-options.ts";
import { changesIn, type ChangeSet } from "@meridian/health";
import type { Shift } from "./shift-effects.ts";
import { MemoryPersistence, silent } from "./testing/control-fixture.ts";

const pool = (members: string): string => `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: p}
spec: {members: {${members}}}
`;

/** A disk that can be full. */
class FullDisk extends MemoryPersistence {
  isFull = false;
  shifts: readonly Shift[] = [];

  override saveRevision(...revision: Parameters<MemoryPersistence["saveRevision"]>): void {
    this.#write();
    super.saveRevision(...revision);
  }

  override saveShifts(shifts: readonly Shift[] = []): void {
    this.#write();
    this.shifts = shifts;
  }

  #write(): void {
    if (this.isFull) throw new Error("ENOSPC: no space left on device");
  }
}

/** A disk that gives the overlay of the run before back. */
class StoredOverlay extends MemoryPersistence {
  readonly slots = new Map<bigint, number>();

  override recordChangeSet(changeSet?: ChangeSet): void {
    if (changeSet === undefined) return;
    for (const { key, value } of changesIn(changeSet)) this.slots.set(key, value);
  }

  override loadOverlay(): StoredSlots | undefined {
    return this.slots.size === 0 ? undefined : KeyedSlots.of(this.slots);
  }
}

interface Running {
  readonly embedded: Embedded;
  readonly disk: FullDisk;
  readonly published: Publication[];
  readonly errors: string[];
  readonly write: (members: string) => void;
}

function makeEmbedded(context: TestContext, clock?: Clock): Running {
  const folder = mkdtempSync(join(tmpdir(), "meridian-embedded-"));
  const file = join(folder, "model.yaml");
  const write = (members: string): void => {
    writeFileSync(file, pool(members));
  };
  write("a: {address: 192.0.2.1}, b: {address: 192.0.2.2}");
  const disk = new FullDisk();
  const published: Publication[] = [];
  const errors: string[] = [];
  const embedded = new Embedded({
    files: [file],
    edge: { publish: (publication) => published.push(publication) },
    logger: { ...silent, error: (_, message) => errors.push(message) },
    persistence: disk,
    probing: false,
    allowEmpty: false,
    vantage: "test",
    ...(clock === undefined ? {} : { clock }),
  });
  context.after(async () => {
    await embedded.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { embedded, disk, published, errors, write };
}

const drain = {
  target: "endpoint/default/p/a",
  percent: 100,
  reason: "maintenance",
  actor: "test",
  expiresAtMs: Date.now() + 3_600_000,
};

function adminAt(embedded: Embedded, endpoint: number): number {
  return adminOf(embedded.overlay.read(endpoint));
}

test("a revision that cannot be kept on disk is served all the same", async (context) => {
  const { embedded, disk, published, errors, write } = makeEmbedded(context);
  await embedded.start();
  assert.equal(disk.revisions.length, 1);
  disk.isFull = true;
  write("a: {address: 192.0.2.9}");
  assert.equal((await embedded.reload()).changed, true);
  assert.equal(published.at(-1)?.revision, embedded.revision);
  assert.equal(embedded.world?.pools.endpointCount, 1);
  assert.deepEqual(errors, [`Cannot keep revision ${embedded.revision} in the state folder`]);
  assert.equal(disk.revisions.length, 1);
});

test("a shift that cannot be kept on disk has no effect, and none that was acknowledged is lost", async (context) => {
  const { embedded, disk } = makeEmbedded(context);
  await embedded.start();
  await embedded.addShift(drain);
  assert.deepEqual([adminAt(embedded, 0), disk.shifts.length], [Admin.drained, 1]);
  disk.isFull = true;
  await assert.rejects(embedded.addShift({ ...drain, target: "endpoint/default/p/b" }), /ENOSPC/);
  await assert.rejects(embedded.removeShifts("endpoint/default/p/a"), /ENOSPC/);
  assert.deepEqual([adminAt(embedded, 0), adminAt(embedded, 1)], [Admin.drained, Admin.active]);
  assert.equal(embedded.shifts().length, 1);
  disk.isFull = false;
  assert.equal((await embedded.removeShifts("endpoint/default/p/a")).length, 1);
  assert.deepEqual([adminAt(embedded, 0), disk.shifts.length], [Admin.active, 0]);
});

test("a drain outlives a reload that moves its endpoint, and ends when it expires", async (context) => {
  const { embedded, write } = makeEmbedded(context);
  await embedded.start();
  const target = "endpoint/default/p/b";
  await embedded.addShift({ ...drain, target, expiresAtMs: Date.now() + 3_600_000 });
  write("a0: {address: 192.0.2.7}, a: {address: 192.0.2.1}, b: {address: 192.0.2.2}");
  await embedded.reload();
  assert.deepEqual(
    [0, 1, 2].map((endpoint) => adminAt(embedded, endpoint)),
    [Admin.active, Admin.active, Admin.drained],
  );
  assert.equal((await embedded.extendShifts(target, 200)).length, 1);
  await until(() => adminAt(embedded, 2) === Admin.active);
  assert.deepEqual(embedded.shifts(), []);
});

test("a shift starts when it is to, comes back by steps, and may be extended or ended meanwhile", async (context) => {
  const clock = new ManualClock(Date.now());
  const { embedded } = makeEmbedded(context, clock);
  await embedded.start();
  const MINUTE = 60_000;
  const startsAtMs = clock.wallMs() + 10 * MINUTE;
  const target = drain.target;
  await embedded.addShift({
    ...{ ...drain, percent: 50, startsAtMs, expiresAtMs: startsAtMs + 10 * MINUTE },
    return: { percent: 20, everyMs: MINUTE },
  });
  const dialAfter = async (minutes: number): Promise<number> => {
    clock.advance(minutes * MINUTE);
    await embedded.followShifts("time passes");
    return (embedded.overlay.read(0) >>> DIAL_SHIFT) & 0x3ff;
  };
  const dials: number[] = [];
  for (const minutes of [0, 10, 10, 1]) dials.push(await dialAfter(minutes));
  assert.deepEqual(dials, [1000, 500, 700, 900]);
  // It had begun to come back: all of it leaves again.
  assert.equal((await embedded.extendShifts(target, 5 * MINUTE)).length, 1);
  assert.equal(await dialAfter(4.9), 500);
  // Ended, it comes back by its steps; ended once more it goes on with that; ended now it is gone.
  await embedded.removeShifts(target);
  assert.equal(await dialAfter(0), 700);
  await embedded.removeShifts(target);
  assert.equal(await dialAfter(1), 900);
  await embedded.removeShifts(target, true);
  assert.equal(await dialAfter(0), 1000);
  assert.deepEqual(embedded.shifts(), []);
});

test("closing while starting leaves nothing running and publishes nothing more", async (context) => {
  const { embedded, published } = makeEmbedded(context);
  const starting = embedded.start().catch(() => undefined);
  await embedded.close();
  await starting;
  assert.equal(published.length, 0);
});

test("a start with broken files goes on judging what is served from disk", async (context) => {
  const server = createServer((_, response) => response.end("ok"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const folder = mkdtempSync(join(tmpdir(), "meridian-judging-"));
  const file = join(folder, "model.yaml");
  writeFileSync(
    file,
    `apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: {name: web}
spec: {http: {}, interval: 100ms, timeout: 90ms, unhealthyThreshold: 2}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: p}
spec: {healthCheck: web, members: {a: {address: 127.0.0.1, port: ${address.port}}}}
`,
  );
  const disk = new StoredOverlay();
  const run = (): Embedded => {
    const embedded = new Embedded({
      files: [file],
      edge: { publish: () => {} },
      logger: silent,
      persistence: disk,
      probing: true,
      allowEmpty: false,
      vantage: "test",
    });
    context.after(() => embedded.close());
    return embedded;
  };
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const first = run();
  await first.start();
  await until(() => verdictOf(first) === Verdict.healthy);
  await first.close();
  writeFileSync(file, "kind: [");
  const second = run();
  await second.start();
  assert.equal(second.model, undefined);
  assert.equal(verdictOf(second), Verdict.healthy);
  server.close();
  server.closeAllConnections();
  await until(() => verdictOf(second) === Verdict.unhealthy);
});

test("files that were emptied while nothing ran do not empty the revision that was restored", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-emptied-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "model.yaml"), pool("a: {address: 192.0.2.1}"));
  const disk = new StoredOverlay();
  const run = async (allowEmpty: boolean): Promise<Embedded> => {
    const embedded = new Embedded({
      files: [folder],
      edge: { publish: () => {} },
      logger: silent,
      persistence: disk,
      probing: false,
      allowEmpty,
      vantage: "test",
    });
    context.after(() => embedded.close());
    await embedded.start();
    return embedded;
  };
  await (await run(false)).close();
  rmSync(join(folder, "model.yaml"));

  const guarded = await run(false);
  assert.deepEqual([guarded.revision, guarded.world?.pools.poolCount], [1, 1]);
  assert.match(guarded.fileErrors.join(), /they declare nothing, while .* are served/);
  await guarded.close();

  const meant = await run(true);
  assert.deepEqual([meant.revision, meant.world?.pools.poolCount], [2, 0]);
  await meant.close();

  // What serves nothing cannot be emptied.
  const after = await run(false);
  assert.deepEqual([after.revision, after.fileErrors], [2, []]);
});

function verdictOf(embedded: Embedded): number {
  return embedded.overlay.read(0) & 3;
}

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isDone()) {
    assert.ok(performance.now() < deadline, "it happens within a minute");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("one of several folders that loses its files is refused, also while documents come by the API", async (context) => {
  const folders = ["a", "b"].map(() => mkdtempSync(join(tmpdir(), "meridian-folder-")));
  context.after(() =>
    folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })),
  );
  const [first = "", second = ""] = folders;
  writeFileSync(join(first, "model.yaml"), pool("a: {address: 192.0.2.1}"));
  const spare = pool("b: {address: 192.0.2.2}").replace(/name: [a-z]+/, "name: spare");
  writeFileSync(join(second, "model.yaml"), spare);
  const embedded = new Embedded({
    files: folders,
    edge: { publish: () => {} },
    logger: silent,
    persistence: new StoredOverlay(),
    probing: false,
    allowEmpty: false,
    vantage: "test",
  });
  context.after(() => embedded.close());
  await embedded.start();
  assert.equal(embedded.world?.pools.poolCount, 2);
  rmSync(join(second, "model.yaml"));
  await embedded.reload();
  assert.equal(embedded.world.pools.poolCount, 2);
  assert.match(embedded.fileErrors.join(), /meridian-folder-.*" has no files any more/);
  const { isAccepted, errors } = await embedded.propose([], undefined);
  assert.deepEqual([isAccepted, errors.length], [false, 1]);
  writeFileSync(join(second, "model.yaml"), spare);
  await embedded.reload();
  assert.deepEqual(embedded.fileErrors, []);
});
