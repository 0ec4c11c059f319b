// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { KeyTiming } from "./key-timing.ts";
import { step, type KeyState, type ParentView } from "./roll-over.ts";
import {
  isEntry,
  isNamed,
  isShown,
  published,
  rolesOf,
  signsAnswers,
  type KeyRole,
  type RolledKey,
} from "./rolled-key.ts";

/** Longer than any chain of waits. */
const SETTLE_MS = 3000;

const base: KeyTiming = {
  algorithm: 13,
  isCsk: false,
  dnskeyTtlMs: 10,
  maxZoneTtlMs: 20,
  kskLifetimeMs: 1000,
  zskLifetimeMs: 300,
  propagationMs: 5,
  parentPropagationMs: 5,
  parentDsTtlMs: 30,
};

/** What an edge shows in some span of time; without signers its answers are not signed. */
interface Shown {
  readonly fromMs: number;
  readonly keys: ReadonlySet<number>;
  readonly entries: ReadonlySet<number>;
  readonly signers: ReadonlySet<number>;
  readonly cds: ReadonlySet<number> | undefined;
}

interface Named {
  readonly fromMs: number;
  readonly tags: ReadonlySet<number>;
}

/** A zone, its parent, and all that they ever showed. */
class Scene {
  state: KeyState = { keys: [] };
  readonly shown: Shown[] = [];
  readonly named: Named[] = [{ fromMs: -Infinity, tags: new Set() }];
  timing: KeyTiming;
  readonly algorithms = new Map<number, number>();
  nextTag = 1;

  constructor(timing: KeyTiming) {
    this.timing = timing;
    this.show(-Infinity);
  }

  get atParent(): ReadonlySet<number> {
    return this.named.at(-1)?.tags ?? new Set();
  }

  step(nowMs: number, rolls: readonly KeyRole[] = [], isWanted = true, isHeard = true): void {
    const parent: ParentView | undefined = isHeard
      ? { everywhere: this.atParent, somewhere: this.atParent }
      : undefined;
    const { needs, ...state } = step(this.state, this.timing, nowMs, parent, { isWanted, rolls });
    let { keys } = state;
    for (const needed of needs) {
      this.algorithms.set(this.nextTag, needed.algorithm);
      keys = published<RolledKey>(keys, { keyTag: this.nextTag++, ...needed }, nowMs);
    }
    this.state = { ...state, keys };
    this.show(nowMs);
  }

  show(fromMs: number): void {
    const { keys, removalMs } = this.state;
    const tags = (wanted: (key: RolledKey) => boolean): ReadonlySet<number> =>
      new Set(keys.filter(wanted).map(({ keyTag }) => keyTag));
    const cds = removalMs === undefined ? tags(isNamed) : new Set<number>();
    const shown = {
      keys: tags(isShown),
      entries: tags((key) => isShown(key) && isEntry(key)),
      signers: tags(signsAnswers),
      cds: removalMs === undefined && cds.size === 0 ? undefined : cds,
    };
    const { fromMs: _, ...before } = this.shown.at(-1) ?? { fromMs };
    if (!isDeepStrictEqual(before, shown)) this.shown.push({ fromMs, ...shown });
  }

  /** The parent does as CDS says. */
  follow(nowMs: number): void {
    const tags = this.shown.at(-1)?.cds;
    if (tags !== undefined && !isDeepStrictEqual(tags, this.atParent))
      this.named.push({ fromMs: nowMs, tags });
  }

  /** What may be in some cache at `nowMs`, or at an edge that is behind. */
  cached<Item extends { readonly fromMs: number }>(
    all: readonly Item[],
    nowMs: number,
    heldMs: number,
  ): Item[] {
    return all.filter(
      ({ fromMs }, at) => fromMs <= nowMs && (all[at + 1]?.fromMs ?? Infinity) > nowMs - heldMs,
    );
  }

  algorithmsOf(tags: ReadonlySet<number>): ReadonlySet<number> {
    return new Set([...tags].map((tag) => this.algorithms.get(tag) ?? 0));
  }

  /** A DS set, a DNSKEY set and an answer that do not validate together though caches may hold them. */
  bogusAt(nowMs: number): string | undefined {
    const { propagationMs, dnskeyTtlMs, maxZoneTtlMs, parentPropagationMs, parentDsTtlMs } =
      this.timing;
    const sets = this.cached(this.shown, nowMs, propagationMs + dnskeyTtlMs);
    const answers = this.cached(this.shown, nowMs, propagationMs + maxZoneTtlMs);
    const delegations = this.cached(this.named, nowMs, parentPropagationMs + parentDsTtlMs);
    for (const { tags } of delegations)
      for (const { keys, entries } of sets)
        for (const { signers } of answers) {
          if (tags.size === 0) continue;
          // Whoever wants each algorithm that a DS or DNSKEY tells of (RFC 4035 §2.2) finds it everywhere below.
          const named = this.algorithmsOf(tags);
          const told = this.algorithmsOf(keys);
          const trusted = this.algorithmsOf(tags.intersection(entries));
          const signed = this.algorithmsOf(signers.intersection(keys));
          const isTrusted = trusted.size > 0 && named.isSubsetOf(trusted);
          const isSigned = signed.size > 0 && told.isSubsetOf(signed);
          const isShownSigned = told.isSubsetOf(this.algorithmsOf(entries));
          if (!isTrusted || !isSigned || !isShownSigned)
            return `at ${nowMs}: DS ${[...tags].join()} DNSKEY ${[...keys].join()} signed by ${[...signers].join()}`;
        }
    return undefined;
  }
}

/** What is asked for at a time. */
interface Change {
  readonly rolls?: readonly KeyRole[];
  readonly settings?: Partial<KeyTiming>;
}

/** Steps each millisecond, the parent following `delayMs` after it was asked. */
function run(scene: Scene, untilMs: number, atMs: number, change: Change = {}): string[] {
  const lines: string[] = [];
  let before = "";
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 1) {
    if (nowMs % 40 === 39) scene.follow(nowMs);
    const { rolls, settings }: Change = nowMs === atMs ? change : {};
    scene.timing = { ...scene.timing, ...settings };
    scene.step(nowMs, rolls);
    const { keys } = scene.state;
    const text = keys
      .map((key) => {
        const marks = [
          key.algorithm === base.algorithm ? "" : `algorithm ${key.algorithm}`,
          isShown(key) ? "" : "hidden",
          signsAnswers(key) ? "signs" : key.signsUntilMs === undefined ? "" : "retired",
          isNamed(key) ? "wanted" : key.dsUnwantedMs === undefined ? "" : "unwanted",
          key.dsSeenMs === undefined ? "" : "seen",
        ];
        return [`${key.role}${key.keyTag}`, ...marks.filter((mark) => mark !== "")].join(" ");
      })
      .join(", ");
    if (text !== before) lines.push(`${nowMs}: ${text}`);
    before = text;
    assert.equal(scene.bogusAt(nowMs), undefined);
  }
  return lines;
}

/** Nothing is asked for any more: the keys come to be those that the settings ask for. */
function settle(scene: Scene, sinceMs: number): void {
  scene.timing = { ...scene.timing, kskLifetimeMs: Infinity, zskLifetimeMs: Infinity };
  for (let nowMs = sinceMs; nowMs < sinceMs + SETTLE_MS; nowMs += 10) {
    scene.follow(nowMs);
    scene.step(nowMs);
  }
  const { keys } = scene.state;
  const { algorithm } = scene.timing;
  assert.deepEqual(
    keys.map((key) => `${key.role} ${key.algorithm} ${isShown(key)}`).toSorted(),
    rolesOf(scene.timing).map((role) => `${role} ${algorithm} true`),
    JSON.stringify(keys),
  );
  assert.ok(keys.some(signsAnswers) && keys.some(isNamed));
}

describe("step()", () => {
  it("signs a zone, then asks for a DS when no cache has answers without signatures", () => {
    assert.deepEqual(run(new Scene(base), 60, -1), [
      "0: ksk1, zsk2 signs",
      "25: ksk1 wanted, zsk2 signs",
      "39: ksk1 wanted seen, zsk2 signs",
    ]);
  });

  it("rolls a ZSK by pre-publication and a KSK by double signature, in the times of RFC 7583", () => {
    assert.deepEqual(run(new Scene(base), 220, 100, { rolls: ["ksk", "zsk"] }), [
      "0: ksk1, zsk2 signs",
      "25: ksk1 wanted, zsk2 signs",
      "39: ksk1 wanted seen, zsk2 signs",
      "100: ksk1 wanted seen, zsk2 signs, ksk3, zsk4",
      "115: ksk1 unwanted seen, zsk2 retired, ksk3 wanted, zsk4 signs",
      "119: ksk1 unwanted, zsk2 retired, ksk3 wanted seen, zsk4 signs",
      "140: ksk1 unwanted, ksk3 wanted seen, zsk4 signs",
      "154: ksk3 wanted seen, zsk4 signs",
    ]);
  });

  it("rolls a CSK: the new one signs first, then the parent names it, then the old one goes", () => {
    assert.deepEqual(run(new Scene({ ...base, isCsk: true }), 220, 100, { rolls: ["csk"] }), [
      "0: csk1 signs",
      "25: csk1 signs wanted",
      "39: csk1 signs wanted seen",
      "100: csk1 signs wanted seen, csk2",
      "115: csk1 retired unwanted seen, csk2 signs wanted",
      "119: csk1 retired unwanted, csk2 signs wanted seen",
      "154: csk2 signs wanted seen",
    ]);
  });

  it("brings another algorithm from the answers up, and takes the old one from the parent down", () => {
    assert.deepEqual(run(new Scene(base), 240, 100, { settings: { algorithm: 15 } }), [
      "0: ksk1, zsk2 signs",
      "25: ksk1 wanted, zsk2 signs",
      "39: ksk1 wanted seen, zsk2 signs",
      "100: ksk1 wanted seen, zsk2 signs, zsk3 algorithm 15 hidden signs",
      "125: ksk1 wanted seen, zsk2 signs, zsk3 algorithm 15 signs, ksk4 algorithm 15",
      "140: ksk1 unwanted seen, zsk2 signs, zsk3 algorithm 15 signs, ksk4 algorithm 15 wanted",
      "159: ksk1 unwanted, zsk2 signs, zsk3 algorithm 15 signs, ksk4 algorithm 15 wanted seen",
      "194: zsk2 hidden signs, zsk3 algorithm 15 signs, ksk4 algorithm 15 wanted seen",
      "209: zsk3 algorithm 15 signs, ksk4 algorithm 15 wanted seen",
    ]);
  });

  it("comes from a KSK and a ZSK to a CSK as keys are rolled", () => {
    assert.deepEqual(run(new Scene(base), 220, 100, { settings: { isCsk: true } }), [
      "0: ksk1, zsk2 signs",
      "25: ksk1 wanted, zsk2 signs",
      "39: ksk1 wanted seen, zsk2 signs",
      "100: ksk1 wanted seen, zsk2 signs, csk3",
      "115: ksk1 unwanted seen, zsk2 retired, csk3 signs wanted",
      "119: ksk1 unwanted, zsk2 retired, csk3 signs wanted seen",
      "140: ksk1 unwanted, csk3 signs wanted seen",
      "154: csk3 signs wanted seen",
    ]);
  });

  it("comes from a CSK of one algorithm to a KSK and a ZSK of another", () => {
    const scene = new Scene({ ...base, isCsk: true });
    assert.deepEqual(run(scene, 240, 100, { settings: { isCsk: false, algorithm: 15 } }), [
      "0: csk1 signs",
      "25: csk1 signs wanted",
      "39: csk1 signs wanted seen",
      "100: csk1 signs wanted seen, zsk2 algorithm 15 hidden signs",
      "125: csk1 signs wanted seen, zsk2 algorithm 15 signs, ksk3 algorithm 15",
      "140: csk1 signs unwanted seen, zsk2 algorithm 15 signs, ksk3 algorithm 15 wanted",
      "159: csk1 signs unwanted, zsk2 algorithm 15 signs, ksk3 algorithm 15 wanted seen",
      "194: csk1 hidden signs unwanted, zsk2 algorithm 15 signs, ksk3 algorithm 15 wanted seen",
      "209: zsk2 algorithm 15 signs, ksk3 algorithm 15 wanted seen",
    ]);
  });

  it("takes an algorithm back that its parent did not take", () => {
    const scene = new Scene(base);
    const timing = { ...base, zskLifetimeMs: 1000 };
    const settings = [timing, { ...timing, algorithm: 15 }, timing];
    const [first, , last] = settings.map((each, index) => {
      scene.timing = each;
      for (let nowMs = index * 145; nowMs < index * 145 + 145; nowMs += 1) {
        if (nowMs === 39 || nowMs === 310) scene.follow(nowMs);
        scene.step(nowMs);
        assert.equal(scene.bogusAt(nowMs), undefined);
      }
      return scene.state.keys.map(({ keyTag, role, algorithm }) => ({ keyTag, role, algorithm }));
    });
    assert.deepEqual(first, [
      { keyTag: 1, role: "ksk", algorithm: 13 },
      { keyTag: 2, role: "zsk", algorithm: 13 },
    ]);
    // The parent was asked to name the new one: it names one that is newer still.
    assert.deepEqual(last, [
      { keyTag: 2, role: "zsk", algorithm: 13 },
      { keyTag: 5, role: "ksk", algorithm: 13 },
    ]);
  });

  it("rolls by age, but no key that the parent does not name", () => {
    const scene = new Scene({ ...base, zskLifetimeMs: 50, kskLifetimeMs: 60 });
    for (let nowMs = 0; nowMs < 200; nowMs += 1) scene.step(nowMs);
    assert.deepEqual(
      scene.state.keys.filter(({ role }) => role === "ksk").map(({ keyTag }) => keyTag),
      [1],
    );
    assert.ok(scene.nextTag > 4);
  });

  it("keeps the old key while the parent is not heard, or names it still, or the new one no more", () => {
    const timing = base;
    const scene = new Scene(timing);
    run(scene, 130, 100, { rolls: ["ksk"] });
    const old = scene.state.keys[0]?.keyTag;
    const hasOld = (): boolean => scene.state.keys.some(({ keyTag }) => keyTag === old);
    for (let nowMs = 131; nowMs < 400; nowMs += 1) scene.step(nowMs, [], true, false);
    assert.ok(hasOld(), "not heard");
    scene.named.push({ fromMs: 400, tags: new Set([1, 3]) });
    for (let nowMs = 400; nowMs < 600; nowMs += 1) scene.step(nowMs);
    assert.ok(hasOld(), "named still");
    scene.named.push({ fromMs: 600, tags: new Set([1]) }, { fromMs: 610, tags: new Set([3]) });
    scene.step(605);
    scene.named.splice(-2, 1);
    for (let nowMs = 610; nowMs < 640; nowMs += 1) scene.step(nowMs);
    assert.ok(!hasOld());
  });

  it("stays signed, when it is to be signed no more, until no cache has a DS", () => {
    const scene = new Scene(base);
    run(scene, 99, -1);
    for (let nowMs = 100; nowMs < 200; nowMs += 1) {
      if (nowMs === 120) scene.follow(nowMs);
      scene.step(nowMs, [], false);
      assert.equal(scene.state.keys.length, nowMs < 155 ? 2 : 0, String(nowMs));
      assert.equal(scene.bogusAt(nowMs), undefined);
    }
  });

  it("goes on with its keys where it is wanted again", () => {
    const scene = new Scene(base);
    run(scene, 99, -1);
    const before = scene.state;
    scene.step(100, [], false);
    assert.equal(scene.state.removalMs, 100);
    scene.step(101);
    assert.deepEqual(scene.state, before);
  });

  it("never lets a cache hold what does not validate, however late steps, edges and parent are", () => {
    const ms = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
    const timings = fc.record({
      algorithm: fc.constant(13),
      isCsk: fc.boolean(),
      dnskeyTtlMs: ms(30),
      maxZoneTtlMs: ms(60),
      kskLifetimeMs: ms(300),
      zskLifetimeMs: ms(200),
      propagationMs: ms(10),
      parentPropagationMs: ms(20),
      parentDsTtlMs: ms(60),
    });
    const moment = fc.record({
      pauseMs: fc.integer({ min: 1, max: 25 }),
      follows: fc.boolean(),
      isHeard: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
      isWanted: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
      roll: fc.option(fc.constantFrom<KeyRole>("ksk", "zsk", "csk")),
      change: fc.option(fc.record({ algorithm: fc.constantFrom(8, 13, 15), isCsk: fc.boolean() }), {
        freq: 3,
      }),
    });
    fc.assert(
      fc.property(
        timings,
        fc.array(moment, { minLength: 20, maxLength: 60 }),
        (timing, moments) => {
          const scene = new Scene(timing);
          let nowMs = 0;
          for (const { pauseMs, follows, isHeard, isWanted, roll, change } of moments) {
            for (let at = nowMs; at < nowMs + pauseMs; at += 3)
              assert.equal(scene.bogusAt(at), undefined);
            nowMs += pauseMs;
            if (follows) scene.follow(nowMs);
            if (change !== null) scene.timing = { ...scene.timing, ...change };
            scene.step(nowMs, roll === null ? [] : [roll], isWanted, isHeard);
            assert.equal(scene.bogusAt(nowMs), undefined);
            assert.ok(scene.state.keys.length <= 8);
          }
          settle(scene, nowMs);
        },
      ),
      { numRuns: 250 },
    );
  });
});
