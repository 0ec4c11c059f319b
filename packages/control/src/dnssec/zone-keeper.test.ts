// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RRType, Rcode, dsRdata, readDs, readRrsig, rrsigFault } from "@meridian/dns";
import { parseSigningMaterial, type PresignedSet, type SigningMaterial } from "@meridian/snapshot";
import { addSealingKey } from "../state/sealing-key.ts";
import {
  KEPT_ORIGIN,
  ZoneKeeperScene,
  keptMaterial,
  untilKept,
} from "../testing/zone-keeper-scene.ts";
import { apexOf } from "./zone-apex.ts";
import { signedZoneView } from "./zone-views.ts";
import type { ZoneKeeper } from "./zone-keeper.ts";

function keysOf(keeper: ZoneKeeper): string[] {
  const { keys = [] } = keeper.zones.get(KEPT_ORIGIN)?.zone ?? {};
  return keys.map(({ role }) => role);
}

function setOf(material: SigningMaterial | undefined, type: number): PresignedSet | undefined {
  return material?.apex.find((set) => set.type === type);
}

/** The same, looked at a moment later each time: a parent that was not heard in time is asked again. */
function laterEachTime(scene: ZoneKeeperScene, holds: () => boolean): () => boolean {
  return () => {
    scene.nowMs += 50;
    return holds();
  };
}

/** Every set at the apex has a signature that one of the named keys made. */
function assertChain(
  material: SigningMaterial | undefined,
  ds: readonly Uint8Array[],
  nowMs: number,
): void {
  const dnskeys = setOf(material, RRType.DNSKEY)?.rdatas ?? [];
  const owner = apexOf(KEPT_ORIGIN);
  const trusted = dnskeys.filter((key) =>
    ds.some((each) => Buffer.compare(dsRdata(owner, key, readDs(each)?.digestType), each) === 0),
  );
  assert.ok(trusted.length > 0, "no key is named by the parent");
  for (const { type, ttl, rdatas, rrsigs } of material?.apex ?? [])
    assert.ok(
      trusted.some((key) =>
        rrsigs.some(
          (rrsig) =>
            rrsigFault({ owner, type, ttl, rdatas }, rrsig, key, Math.floor(nowMs / 1000)) ===
            undefined,
        ),
      ),
      `set ${type} is not signed`,
    );
}

describe("ZoneKeeper", () => {
  it("keeps keys of zones of views by what they are called, and edges are told of which view", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const settings = scene.signed.get(KEPT_ORIGIN);
    assert.ok(settings !== undefined);
    scene.signed.set(`${KEPT_ORIGIN}@inside`, settings);
    const { keeper } = await scene.makeControl();
    await untilKept(keeper, () => keeper.materials.size === 2, "no keys of one zone");
    const texts = [...keeper.materials.values()];
    const told = texts.map((text) => parseSigningMaterial(text));
    assert.deepEqual(
      told.map((material) => [material?.view, Buffer.from(material?.zone ?? []).toString("hex")]),
      [undefined, "inside"].map((view) => [view, Buffer.from(apexOf(KEPT_ORIGIN)).toString("hex")]),
    );
    const tags = told.flatMap((material) => material?.keys.map(({ keyTag }) => keyTag) ?? []);
    assert.equal(new Set(tags).size, tags.length, "keys of its own");
    const kept = keeper.found(`${KEPT_ORIGIN}@inside`).zone;
    const { zone, ds, cdnskey } = signedZoneView(`${KEPT_ORIGIN}@inside`, kept, undefined);
    assert.equal(zone, `${KEPT_ORIGIN}@inside`);
    for (const line of [...ds, ...cdnskey]) assert.ok(line.startsWith(`${KEPT_ORIGIN}. `), line);
  });

  it("tells of zones that are signed elsewhere before their signatures end, and takes it back", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    scene.signed.clear();
    const day = 86_400;
    const now = scene.nowMs / 1000;
    scene.presigned.set("fresh.test", { namespace: "a", signedUntilSeconds: now + 30 * day });
    scene.presigned.set("old.test", { namespace: "a", signedUntilSeconds: now + day });
    const { keeper, board } = await scene.makeControl();
    const told = (): string[] =>
      [...board.all()].map(({ subject, event }) => `${event} ${subject}`);
    await untilKept(keeper, () => told().length > 0, "nothing is told");
    assert.deepEqual(told(), ["expiring-signature zone/old.test"]);
    scene.presigned.set("old.test", { namespace: "a", signedUntilSeconds: now + 30 * day });
    await untilKept(keeper, () => told().length === 0, "it is not taken back");
  });

  it("makes keys once, seals them, and rolls both with the parent's word, one control after the other", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const { parent, folder, errors } = scene;
    const first = await scene.makeControl();
    await untilKept(first.keeper, () => first.keeper.materials.size > 0, "no keys");
    assert.deepEqual(keysOf(first.keeper), ["ksk", "zsk"]);
    assert.equal(setOf(keptMaterial(first.keeper), RRType.CDS), undefined);
    assert.equal(statSync(join(folder, "sealing.key")).mode & 0o777, 0o600);

    // No private key lies in the store in clear: neither as DER nor as its text.
    const stored = ["store.sqlite", "store.sqlite-wal"]
      .map((name) => readFileSync(join(folder, name), "latin1"))
      .join("");
    for (const { privateKey } of keptMaterial(first.keeper)?.keys ?? []) {
      const secret = Buffer.from(privateKey).subarray(-32);
      assert.equal(stored.includes(secret.toString("latin1")), false);
      assert.equal(stored.includes(Buffer.from(privateKey).toString("base64").slice(60)), false);
    }

    scene.nowMs += 21_000;
    await untilKept(
      first.keeper,
      () => setOf(keptMaterial(first.keeper), RRType.CDS) !== undefined,
      "no CDS",
    );
    await untilKept(first.keeper, () => [...first.board.all()].length > 0, "no alert");
    const cds = setOf(keptMaterial(first.keeper), RRType.CDS)?.rdatas ?? [];
    parent.ds.set(`${KEPT_ORIGIN}.`, cds);
    assertChain(keptMaterial(first.keeper), cds, scene.nowMs);
    scene.nowMs += 2000;
    await untilKept(
      first.keeper,
      laterEachTime(scene, () => [...first.board.all()].length === 0),
      "the alert stays",
    );

    // Another control goes on with the same keys.
    const second = await scene.makeControl();
    await second.refresh();
    await untilKept(second.keeper, () => second.keeper.materials.size > 0, "no material");
    assert.deepEqual(second.keeper.materials, first.keeper.materials);
    assert.deepEqual(await second.keeper.roll(KEPT_ORIGIN, undefined), ["ksk", "zsk"]);
    await untilKept(second.keeper, () => keysOf(second.keeper).length === 4, "no new keys");
    assertChain(keptMaterial(second.keeper), cds, scene.nowMs);
    scene.nowMs += 11_000;
    await untilKept(
      second.keeper,
      () =>
        Buffer.compare(
          setOf(keptMaterial(second.keeper), RRType.CDS)?.rdatas[0] ?? cds[0]!,
          cds[0]!,
        ) !== 0,
      "CDS is the same",
    );
    assertChain(keptMaterial(second.keeper), cds, scene.nowMs);
    assert.deepEqual(
      keptMaterial(second.keeper)?.keys.map(({ signs }) => signs),
      [false, true],
    );
    const next = setOf(keptMaterial(second.keeper), RRType.CDS)?.rdatas ?? [];

    // Nothing goes while the parent does not answer, or names the old one.
    parent.rcode = Rcode.SERVFAIL;
    scene.nowMs += 60_000;
    await untilKept(second.keeper, () => keysOf(second.keeper).length === 3, "the old ZSK stays");
    await untilKept(
      second.keeper,
      laterEachTime(scene, () => second.keeper.isParentHeard(KEPT_ORIGIN) === false),
      "an answer from before is held for its last word",
    );
    parent.rcode = Rcode.NOERROR;
    scene.nowMs += 2000;
    await untilKept(
      second.keeper,
      laterEachTime(scene, () => second.keeper.isParentHeard(KEPT_ORIGIN) === true),
      "not heard",
    );
    assert.deepEqual(keysOf(second.keeper), ["ksk", "ksk", "zsk"]);
    parent.ds.set(`${KEPT_ORIGIN}.`, next);
    const seen = (): boolean =>
      second.keeper.zones
        .get(KEPT_ORIGIN)
        ?.zone.keys.some(
          (key) =>
            key.dsUnwantedMs === undefined && key.role === "ksk" && key.dsSeenMs !== undefined,
        ) === true;
    scene.nowMs += 2000;
    await untilKept(second.keeper, laterEachTime(scene, seen), "the new DS is not seen");
    assertChain(keptMaterial(second.keeper), next, scene.nowMs);
    scene.nowMs += 15_000;
    await untilKept(
      second.keeper,
      laterEachTime(scene, () => keysOf(second.keeper).length === 2),
      "the old KSK stays",
    );
    assertChain(keptMaterial(second.keeper), next, scene.nowMs);
    assert.deepEqual(errors, []);
  });

  it("makes one set of keys where two controls both take themselves for the leader", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const controls = [await scene.makeControl(), await scene.makeControl()] as const;
    for (const { keeper } of controls) keeper.tick();
    const [first, second] = controls;
    await untilKept(first.keeper, () => first.keeper.materials.size > 0, "no keys");
    await untilKept(second.keeper, () => second.keeper.materials.size > 0, "no keys");
    await Promise.all(controls.map(({ refresh }) => refresh()));
    for (const { keeper } of controls) keeper.tick();
    assert.deepEqual(first.keeper.materials, second.keeper.materials);
  });

  it("signs the apex anew before its signatures end; a follower changes nothing", async (t) => {
    const scene = await ZoneKeeperScene.start(t, { keys: "csk", algorithm: "ed25519" });
    const leader = await scene.makeControl();
    await untilKept(leader.keeper, () => leader.keeper.materials.size > 0, "no keys");
    const before = keptMaterial(leader.keeper);
    assert.deepEqual(
      before?.keys.map(({ algorithm, signs }) => [algorithm, signs]),
      [[15, true]],
    );
    scene.nowMs += 301_000;
    const follower = await scene.makeControl({ isLeader: false });
    await follower.refresh();
    follower.keeper.tick();
    await sleep(20);
    assert.equal(keptMaterial(follower.keeper)?.sequence, before?.sequence);
    const endOf = (material: SigningMaterial | undefined): number =>
      readRrsig(setOf(material, RRType.DNSKEY)?.rrsigs[0] ?? new Uint8Array())?.expiration ?? 0;
    await untilKept(
      leader.keeper,
      () => endOf(keptMaterial(leader.keeper)) > endOf(before),
      "not signed",
    );
    assert.equal(endOf(keptMaterial(leader.keeper)) - endOf(before), 301);
  });

  it("stays signed until the parent has no DS, then has no keys", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const { parent } = scene;
    const { keeper } = await scene.makeControl();
    await untilKept(keeper, () => keeper.materials.size > 0, "no keys");
    scene.nowMs += 21_000;
    await untilKept(keeper, () => setOf(keptMaterial(keeper), RRType.CDS) !== undefined, "no CDS");
    parent.ds.set(`${KEPT_ORIGIN}.`, setOf(keptMaterial(keeper), RRType.CDS)?.rdatas ?? []);
    scene.signed.clear();
    const cds = (): string =>
      Buffer.from(setOf(keptMaterial(keeper), RRType.CDS)?.rdatas[0] ?? []).toString("hex");
    await untilKept(keeper, () => cds() === "0000000000", "no CDS that deletes");
    scene.nowMs += 100_000;
    await untilKept(
      keeper,
      laterEachTime(scene, () => keeper.isParentHeard(KEPT_ORIGIN) === true),
      "not heard",
    );
    assert.equal(keysOf(keeper).length, 2);
    parent.ds.clear();
    scene.nowMs += 2000;
    await untilKept(
      keeper,
      laterEachTime(scene, () => keeper.zones.get(KEPT_ORIGIN)?.zone.goneMs !== undefined),
      "not gone",
    );
    scene.nowMs += 15_000;
    await untilKept(
      keeper,
      laterEachTime(scene, () => keeper.materials.size === 0),
      "still signed",
    );
  });

  it("seals anew with another key that is put first; the one before can go then", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const { folder, errors } = scene;
    const path = join(folder, "sealing.key");
    const first = await scene.makeControl();
    await untilKept(first.keeper, () => first.keeper.materials.size > 0, "no keys");
    const before = first.keeper.materials;
    const stored = (): string => JSON.stringify(first.keeper.zones.get(KEPT_ORIGIN)?.zone);
    const text = stored();
    // Also of a zone that is not served now.
    scene.served = false;
    assert.equal(addSealingKey(path), 2);
    await untilKept(first.keeper, () => stored() !== text, "sealed as before");
    assert.deepEqual(first.keeper.materials, before);
    const [key] = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, `${key}\n`);
    const second = await scene.makeControl();
    await second.refresh();
    await untilKept(second.keeper, () => second.keeper.materials.size > 0, "not opened");
    assert.deepEqual(second.keeper.materials, before);
    const inMemory = { variable: "MERIDIAN_SEALING_KEY", text: `${key}` };
    const third = await scene.makeControl({ keyPlace: inMemory });
    await third.refresh();
    await untilKept(third.keeper, () => third.keeper.materials.size > 0, "not opened");
    assert.deepEqual(errors, []);
  });

  it("says so, and changes nothing, where the key file is another one", async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    const { folder, errors } = scene;
    const first = await scene.makeControl();
    await untilKept(first.keeper, () => first.keeper.materials.size > 0, "no keys");
    const other = join(folder, "other.key");
    writeFileSync(other, `${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
    const second = await scene.makeControl({ keyPlace: other });
    await second.refresh();
    second.keeper.tick();
    second.keeper.tick();
    assert.match(errors.join(), /sealed with another one/);
    assert.equal(second.keeper.materials.size, 0);
  });
});
