// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Suspicion, encodeReport, type VantagePlace } from "@meridian/snapshot";
import { defaultTiming, type ProbeTarget, type Verdict } from "../check.ts";
import type { QuorumOpinion } from "../verdict.ts";
import { OwnOpinions } from "./own-opinions.ts";
import { FRESH_MS, Quorum, type Roster } from "./quorum.ts";
import { TargetOrder } from "./target-order.ts";

const keys = ["endpoint/default/web/a", "endpoint/default/web/b"] as const;
const [A, B] = keys;

function targetsOf(limits: Partial<ProbeTarget["check"]> = {}): ProbeTarget[] {
  return keys.map((key, at) => ({
    key,
    checkName: "default/web",
    check: { ...defaultTiming, kind: "tcp", ...limits } as ProbeTarget["check"],
    address: `192.0.2.${at + 1}`,
    port: 80,
  }));
}

/** A vantage elsewhere, whose clock has nothing to do with ours. */
class Remote {
  readonly place: VantagePlace;
  readonly #own: OwnOpinions;
  readonly #session: number;
  #sequence = 0;
  suspicion: number = Suspicion.trusting;

  constructor(name: string, targets: readonly ProbeTarget[], session = 1) {
    this.place = { name, site: name };
    this.#own = new OwnOpinions(TargetOrder.of(targets));
    this.#session = session;
  }

  say(opinion: Verdict, ...of: readonly string[]): void {
    for (const key of of) this.#own.set({ key, opinion, reason: `seen ${opinion}`, sinceMs: 0 });
  }

  report(sentMs: number): Uint8Array {
    const { opinions, reasons, sinceSeconds, texts, order } = this.#own;
    return encodeReport({
      form: "table",
      suspicion: this.suspicion,
      sequence: ++this.#sequence,
      session: this.#session,
      sentMs: sentMs - 5e8,
      print: order.print,
      opinions: opinions.slice(),
      reasons: reasons.slice(),
      sinceSeconds: sinceSeconds.slice(),
      texts,
    });
  }
}

class Scene {
  nowMs = 1000;
  readonly rosters: Roster[] = [];
  readonly told = new Map<string, QuorumOpinion | undefined>();
  readonly own = new Map<string, Verdict>();
  readonly remotes: readonly Remote[];
  readonly quorum: Quorum;

  constructor(remoteCount: number, options: { expectedCount?: number; check?: object } = {}) {
    const targets = targetsOf(options.check);
    this.remotes = Array.from(
      { length: remoteCount },
      (_, at) => new Remote(`eu-${at}`, targets, at),
    );
    this.quorum = new Quorum({
      own: { name: "control", site: "control" },
      expectedCount: options.expectedCount ?? 0,
      nowMs: () => this.nowMs,
      followed: (key) => this.told.get(key)?.opinion ?? this.own.get(key) ?? "unknown",
      onJudged: (key, quorum) => this.told.set(key, quorum),
      onRoster: (roster) => this.rosters.push(roster),
    });
    this.quorum.changeTargets(targets, []);
  }

  say(opinion: Verdict, ...of: readonly string[]): void {
    for (const key of of) {
      this.own.set(key, opinion);
      this.quorum.own({ key, opinion, reason: `own ${opinion}`, sinceMs: 0 });
    }
  }

  hear(...remotes: readonly Remote[]): void {
    for (const remote of remotes)
      assert.ok(this.quorum.hear(remote.place, remote.report(this.nowMs)));
  }

  /** Lets time pass in which all report that are not named. */
  pass(seconds: number, ...silent: readonly Remote[]): void {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000;
      this.hear(...this.remotes.filter((remote) => !silent.includes(remote)));
      this.quorum.tick();
    }
  }

  live(): readonly string[] {
    return this.rosters.at(-1)?.live.map(({ name }) => name) ?? [];
  }
}

test("Quorum leaves a vantage without others to itself", () => {
  const scene = new Scene(0);
  scene.say("healthy", A);
  scene.say("unhealthy", B);
  assert.deepEqual([scene.told.get(A), scene.told.get(B)], [undefined, undefined]);
  assert.deepEqual(scene.live(), ["control"]);
});

test("Quorum follows the majority, and names who said so", () => {
  const scene = new Scene(2);
  scene.say("healthy", A, B);
  for (const remote of scene.remotes) remote.say("healthy", A, B);
  scene.hear(...scene.remotes);
  const [first, second] = scene.remotes;
  first?.say("unhealthy", A);
  scene.hear(...scene.remotes);
  assert.equal(scene.told.get(A)?.opinion, "healthy");
  second?.say("unhealthy", A);
  scene.hear(...scene.remotes);
  assert.deepEqual(scene.told.get(A), {
    opinion: "unhealthy",
    reason: "2 of 3 vantages: seen unhealthy",
    vantages: "eu-0, eu-1",
  });
  assert.equal(scene.told.get(B)?.opinion, "healthy");
  const witnesses = scene.quorum.witnesses(A);
  assert.deepEqual(
    witnesses.map(({ vantage, verdict, counts }) => [vantage, verdict, counts]),
    [
      ["control", "healthy", true],
      ["eu-0", "unhealthy", true],
      ["eu-1", "unhealthy", true],
    ],
  );
});

test("Quorum holds the verdict in a tie, and below minVantages", () => {
  const tie = new Scene(1);
  tie.say("healthy", A);
  tie.remotes[0]?.say("healthy", A);
  tie.hear(...tie.remotes);
  tie.say("unhealthy", A);
  assert.equal(tie.told.get(A)?.opinion, "healthy");

  const few = new Scene(1, { check: { minVantages: 3 } });
  few.say("healthy", A);
  few.remotes[0]?.say("healthy", A);
  few.hear(...few.remotes);
  few.say("unhealthy", A);
  few.remotes[0]?.say("unhealthy", A);
  few.hear(...few.remotes);
  assert.equal(few.told.get(A)?.opinion, "healthy");
});

test("Quorum counts by percentage where the check says so", () => {
  const scene = new Scene(2, { check: { percentHealthy: 18 } });
  scene.say("healthy", A);
  for (const remote of scene.remotes) remote.say("unhealthy", A);
  scene.hear(...scene.remotes);
  assert.equal(scene.told.get(A)?.opinion, "healthy");
  scene.say("unhealthy", A);
  assert.equal(scene.told.get(A)?.opinion, "unhealthy");
});

test("Quorum takes a vantage that is silent, or has lost everything, for stale", () => {
  const scene = new Scene(2);
  const [first, second] = scene.remotes;
  assert.ok(first !== undefined && second !== undefined);
  scene.say("healthy", A, B);
  for (const remote of scene.remotes) remote.say("healthy", A, B);
  scene.pass(1);
  assert.deepEqual(scene.live(), ["control", "eu-0", "eu-1"]);

  first.say("unhealthy", A, B);
  first.suspicion = Suspicion.frozen;
  scene.pass(1);
  assert.deepEqual(scene.live(), ["control", "eu-1"]);
  assert.equal(scene.told.get(A)?.opinion, "healthy");

  first.suspicion = Suspicion.trusting;
  first.say("healthy", A, B);
  scene.pass(FRESH_MS / 1000 + 1, second);
  assert.deepEqual(scene.live(), ["control", "eu-0"]);
  assert.deepEqual(
    scene.quorum.views().map(({ name, state }) => [name, state]),
    [
      ["control", "live"],
      ["eu-0", "live"],
      ["eu-1", "silent"],
    ],
  );
});

test("Quorum believes it where all have lost everything, and waited", () => {
  const scene = new Scene(2);
  scene.say("healthy", A, B);
  for (const remote of scene.remotes) remote.say("healthy", A, B);
  scene.pass(1);
  for (const remote of scene.remotes) {
    remote.say("unhealthy", A, B);
    remote.suspicion = Suspicion.frozen;
  }
  scene.quorum.doubt({ kind: "frozen", untilMs: 0, reason: "" });
  scene.say("unhealthy", A, B);
  scene.pass(1);
  for (const remote of scene.remotes) remote.suspicion = Suspicion.believing;
  scene.quorum.doubt({ kind: "believing" });
  scene.pass(1);
  assert.equal(scene.told.get(A)?.opinion, "unhealthy");
});

test("Quorum holds what was known until others had the time to report", () => {
  const scene = new Scene(2, { expectedCount: 2 });
  scene.own.set(A, "healthy");
  scene.quorum.changeTargets(targetsOf(), []);
  scene.say("unhealthy", A);
  assert.equal(scene.told.get(A)?.opinion, "healthy");
  scene.nowMs += FRESH_MS;
  scene.quorum.tick();
  assert.equal(scene.told.get(A), undefined);
  assert.equal(scene.rosters.at(-1)?.isSettled, true);
});

test("Quorum passes over reports that come again, late or out of order", () => {
  const scene = new Scene(2);
  const [first] = scene.remotes;
  assert.ok(first !== undefined);
  scene.say("healthy", A);
  for (const remote of scene.remotes) remote.say("healthy", A);
  scene.pass(2);
  first.say("unhealthy", A);
  const old = first.report(scene.nowMs);
  first.say("healthy", A);
  const next = first.report(scene.nowMs);
  scene.quorum.hear(first.place, next);
  scene.quorum.hear(first.place, next);
  scene.quorum.hear(first.place, old);
  assert.equal(scene.quorum.witnesses(A)[1]?.verdict, "healthy");
  // One that was long on the way says how things were, and makes nobody live.
  const late = first.report(scene.nowMs);
  scene.pass(FRESH_MS / 1000 + 1, first);
  scene.quorum.hear(first.place, late);
  assert.deepEqual(scene.live(), ["control", "eu-1"]);
});

test("Quorum keeps what was said of a target under another plan, but not of another address", () => {
  const scene = new Scene(2);
  scene.say("healthy", A, B);
  for (const remote of scene.remotes) remote.say("healthy", A, B);
  scene.pass(1);
  const [first, second] = targetsOf();
  assert.ok(first !== undefined && second !== undefined);
  const moved = { ...second, address: "192.0.2.9" };
  const added = { ...first, key: "endpoint/default/web/0" };
  scene.quorum.changeTargets([moved, added], []);
  const said = (key: string): unknown[] =>
    scene.quorum.witnesses(key).map(({ verdict }) => verdict);
  assert.deepEqual(said(A), ["healthy", "healthy", "healthy"]);
  assert.deepEqual(said(B), ["unknown", "unknown", "unknown"]);
  assert.equal(scene.quorum.hear({ name: "x", site: "" }, new Uint8Array(3)), false);
});
