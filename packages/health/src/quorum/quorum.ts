// SPDX-License-Identifier: Apache-2.0

// What all vantages together say of each endpoint, in the one process that has to know (a control). Every vantage tells its opinions; those
// that were chosen for an endpoint and were heard of lately are judged by (`judge`), and what comes out stands in for the opinion of
// this process's own runner.
//
//   own runner ── opinion ──┐
//   other vantages ─ reports ┴─► live vantages ─► chosen ones of an endpoint ─► judge ─► its verdict machine
//
// A vantage that is not heard of, or that lost everything at once, is out of the choice: it is stale, not right. What it did is done by
// the next ones in the order of the hash. Where all have lost everything, it is believed of those that have waited for long enough.

import {
  Suspicion,
  Verdict as VerdictCode,
  decodeReport,
  type VantagePlace,
} from "@meridian/snapshot";
import type { CheckTiming, ProbeTarget, Verdict } from "../check.ts";
import { countedOpinion, judge, type JudgeRule, type VantageReport } from "../judge.ts";
import type { Opinion } from "../runner-options.ts";
import type { SuspicionState } from "../suspicion.ts";
import type { QuorumOpinion } from "../verdict.ts";
import { candidateOf, chooseVantages, type Candidate } from "./choose-vantages.ts";
import { HeardVantage, type HeardOpinion, type Voice } from "./heard-vantage.ts";
import { opinionCode, opinionWord } from "./opinion-code.ts";
import { OpinionReports, type OpinionReportsOptions } from "./opinion-reports.ts";
import { OwnOpinions } from "./own-opinions.ts";
import { TargetOrder } from "./target-order.ts";

/** A vantage that was not heard of for this long does not count. */
export const FRESH_MS = 5000;
/** One that was not heard of for this long is forgotten. */
const FORGET_MS = 3_600_000;
/** Vantages that are kept; more are passed over. */
const HEARD_MAX = 4096;

export interface QuorumOptions {
  /** The vantage that this process is itself. */
  readonly own: VantagePlace;
  /** Others that are likely to report: nothing that is known is judged otherwise before they had the time to. */
  readonly expectedCount: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** What the verdict of a target follows now, before inversion. */
  readonly followed: (key: string) => Verdict;
  readonly onJudged: (key: string, quorum: QuorumOpinion | undefined) => void;
  /** Other vantages are live, or it is settled. */
  readonly onRoster: (roster: Roster) => void;
  /** Where other processes judge, too: what this one says, as vantages report it. */
  readonly reporting?: Pick<OpinionReportsOptions, "session" | "onReport">;
}

/** The live vantages. */
export interface Roster {
  readonly live: readonly VantagePlace[];
  readonly isSettled: boolean;
}

/** A vantage as `get vantages` shows it. */
export interface VantageView extends VantagePlace {
  readonly isOwn: boolean;
  /** `live`, `silent` for too long, or `suspect`: everything that it probes has failed. */
  readonly state: "live" | "silent" | "suspect";
  /** Since its newest report was sent. */
  readonly ageMs: number;
  /** Endpoints that it probes at full pace. */
  readonly chosenCount: number;
  readonly healthyCount: number;
  readonly unhealthyCount: number;
  readonly reports: number;
}

/** What one vantage says of one endpoint. */
export interface Witness {
  readonly vantage: string;
  readonly verdict: Verdict;
  readonly reason: string;
  /** Wall time by the vantage's clock. */
  readonly sinceMs: number;
  /** Whether it counts: it is live, and chosen for this endpoint. */
  readonly counts: boolean;
}

const NOT_TOLD = 255;

export class Quorum {
  readonly #options: QuorumOptions;
  readonly #startMs: number;
  readonly #heard = new Map<string, HeardVantage>();
  #order = TargetOrder.of([]);
  #opinions = new OwnOpinions(this.#order);
  #suspicion: number = Suspicion.trusting;
  readonly #reports: OpinionReports | undefined;
  /** This process among the others. */
  readonly #own: Voice;
  #live: readonly Candidate[] = [];
  #members: readonly Voice[] = [];
  #rosterText = "";
  /** Indices in `#live` by place. */
  #chosen: (readonly number[])[] = [];
  /** What was handed on by place: an opinion's code, or that there was none. */
  #told = new Uint8Array(0);

  constructor(options: QuorumOptions) {
    this.#options = options;
    this.#startMs = options.nowMs();
    this.#own = this.#ownVoice();
    const { reporting, nowMs } = options;
    this.#reports =
      reporting &&
      new OpinionReports(this.#opinions, {
        ...reporting,
        nowMs,
        suspicion: () => this.#suspicion,
      });
  }

  /** What is judged. */
  get order(): TargetOrder {
    return this.#order;
  }

  /** Whether all had the time to report since this process began. */
  get isSettled(): boolean {
    const others = this.#heard.size;
    const waitedMs = this.#options.nowMs() - this.#startMs;
    return others >= this.#options.expectedCount || waitedMs >= FRESH_MS;
  }

  /** What is judged is another: `changed` are new or another under a known key. */
  changeTargets(changed: readonly ProbeTarget[], gone: readonly string[]): void {
    const before = this.#order;
    const next = before.next(changed, gone);
    const { order, was } = next;
    this.#order = order;
    this.#opinions = this.#opinions.next(next);
    this.#reports?.follow(this.#opinions);
    for (const vantage of this.#heard.values()) vantage.reorder(next);
    if (was !== undefined) {
      const told = new Uint8Array(order.length).fill(NOT_TOLD);
      for (const [place, from] of was.entries())
        if (from >= 0) told[place] = this.#told[from] ?? NOT_TOLD;
      this.#told = told;
      this.#chosen = Array.from(was, (from) => this.#chosen[from] ?? []);
    }
    if (this.#live.length === 0) this.#findLive();
    for (const target of changed) {
      const place = order.placeOf(target.key);
      if (place < 0) continue;
      const known = before.targets[before.placeOf(target.key)];
      const isSamePlace = known?.address === target.address && known.port === target.port;
      if (!isSamePlace) this.#forget(place);
      this.#told[place] = NOT_TOLD;
      this.#chosen[place] = this.#chosenFor(place, target);
      this.#judge(place);
    }
  }

  /** An opinion of this process's own. */
  own(opinion: Opinion): void {
    const place = this.#opinions.set(opinion);
    if (place < 0) return;
    this.#reports?.changed(place);
    this.#judge(place);
  }

  /** Whether this process doubts its own network. */
  doubt({ kind }: SuspicionState): void {
    this.#suspicion = Suspicion[kind];
    this.#findLive();
  }

  /** A report has come; false where the bytes are none. */
  hear(from: VantagePlace, payload: Uint8Array): boolean {
    const report = decodeReport(payload);
    if (report === undefined) return false;
    if (from.name === this.#options.own.name) return true;
    const vantage = this.#vantage(from);
    if (vantage === undefined) return true;
    vantage.site = from.site;
    const changed = vantage.take(report, this.#options.nowMs());
    this.#findLive();
    for (const place of changed) this.#judge(place);
    return true;
  }

  /** Looks at what has become of the vantages with time; to be called each second. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    for (const [name, { heardAtMs }] of this.#heard)
      if (nowMs - heardAtMs > FORGET_MS) this.#heard.delete(name);
    this.#findLive();
    this.#reports?.tick();
  }

  /** Whether this process probes the target at a place of `order` at full pace. */
  isChosenAt(place: number): boolean {
    const own = this.#members.indexOf(this.#own);
    return this.#chosen[place]?.includes(own) === true;
  }

  /** What every vantage says of a target. */
  witnesses(key: string): Witness[] {
    const place = this.#order.placeOf(key);
    if (place < 0 || this.#heard.size === 0) return [];
    const chosen = this.#chosen[place]?.map((index) => this.#members[index]) ?? [];
    return [this.#own, ...this.#heard.values()].map((vantage) => {
      const { opinion, ...said } = vantage.at(place);
      return {
        vantage: vantage.name,
        verdict: opinionWord(opinion),
        ...said,
        counts: chosen.includes(vantage),
      };
    });
  }

  views(): VantageView[] {
    const chosenCounts = new Map<Voice, number>();
    for (const indices of this.#chosen)
      for (const index of indices) {
        const member = this.#members[index] ?? this.#own;
        chosenCounts.set(member, (chosenCounts.get(member) ?? 0) + 1);
      }
    return [this.#own, ...this.#heard.values()].map((vantage) => {
      const counts = [0, 0, 0];
      for (let place = 0; place < this.#order.length; place++) {
        const opinion = vantage.opinionAt(place);
        counts[opinion] = (counts[opinion] ?? 0) + 1;
      }
      const { name, site, reports } = vantage;
      return {
        name,
        site,
        isOwn: vantage === this.#own,
        state: this.#stateOf(vantage),
        ageMs: this.#options.nowMs() - vantage.heardAtMs,
        chosenCount: chosenCounts.get(vantage) ?? 0,
        healthyCount: counts[1] ?? 0,
        unhealthyCount: counts[2] ?? 0,
        reports,
      };
    });
  }

  #vantage(from: VantagePlace): HeardVantage | undefined {
    const known = this.#heard.get(from.name);
    if (known !== undefined || this.#heard.size >= HEARD_MAX) return known;
    const vantage = new HeardVantage(from, this.#order);
    this.#heard.set(from.name, vantage);
    return vantage;
  }

  #stateOf(vantage: Voice): VantageView["state"] {
    if (this.#options.nowMs() - vantage.heardAtMs > FRESH_MS) return "silent";
    return vantage.suspicion === Suspicion.trusting ? "live" : "suspect";
  }

  /** False where nothing has changed. */
  #findLive(): boolean {
    const members = this.#liveMembers();
    const text = JSON.stringify([members.map(placeOf), this.isSettled]);
    if (text === this.#rosterText) return false;
    this.#rosterText = text;
    this.#members = members;
    this.#live = members.map(candidateOf);
    this.#choose();
    this.#judgeAll();
    // After what follows from it: an edge that judges by itself gives up for the verdicts of who says that it is settled.
    this.#options.onRoster({ live: members.map(placeOf), isSettled: this.isSettled });
    return true;
  }

  /** By name. */
  #liveMembers(): Voice[] {
    const fresh = [this.#own, ...this.#heard.values()].filter(
      (vantage) => this.#stateOf(vantage) !== "silent",
    );
    const trusting = fresh.filter((each) => each.suspicion === Suspicion.trusting);
    const believing = fresh.filter((each) => each.suspicion === Suspicion.believing);
    const counted = trusting.length > 0 ? trusting : believing;
    // A process that doubts itself and knows of no other one freezes by itself.
    const members = counted.length > 0 ? counted : [this.#own];
    return members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #ownVoice(): Voice {
    const { own, nowMs } = this.#options;
    const suspicion = (): number => this.#suspicion;
    const at = (place: number): HeardOpinion => this.#opinions.at(place);
    return {
      ...own,
      reports: 0,
      at,
      opinionAt: (place) => this.#opinions.opinions[place] ?? 0,
      get suspicion() {
        return suspicion();
      },
      get heardAtMs() {
        return nowMs();
      },
    };
  }

  #choose(): void {
    this.#chosen = this.#order.targets.map((target, place) => this.#chosenFor(place, target));
  }

  #chosenFor(place: number, { check }: ProbeTarget): readonly number[] {
    return chooseVantages(this.#live, this.#order.hashes[place] ?? 0, check);
  }

  #forget(place: number): void {
    this.#opinions.forget(place);
    for (const vantage of this.#heard.values()) vantage.forget(place);
  }

  #judgeAll(): void {
    for (let place = 0; place < this.#order.length; place++) this.#judge(place);
  }

  #judge(place: number): void {
    const target = this.#order.targets[place];
    if (target === undefined || this.#isAsTold(place, target)) return;
    const quorum = this.#quorumOf(place, target);
    const code = quorum === undefined ? NOT_TOLD : opinionCode(quorum.opinion);
    if (this.#told[place] === code) return;
    this.#told[place] = code;
    this.#options.onJudged(target.key, quorum);
  }

  /**
   * Whether judging would come to what was told. Most opinions that change do not change the verdict: with 10,000 endpoints that all flip each
   * second this halves the time that a control spends on them.
   */
  #isAsTold(place: number, { check }: ProbeTarget): boolean {
    const told = this.#told[place] ?? NOT_TOLD;
    const chosen = this.#chosen[place] ?? [];
    if (told === NOT_TOLD || told === opinionCode("unknown") || chosen.length < 2) return false;
    if (!this.isSettled) return true;
    let healthyCount = 0;
    let freshCount = 0;
    for (const index of chosen) {
      const opinion = this.#members[index]?.opinionAt(place) ?? 0;
      if (opinion === VerdictCode.healthy) healthyCount++;
      if (opinion !== VerdictCode.unknown) freshCount++;
    }
    const rule = ruleOf(check, chosen.length, check.minVantages);
    const opinion = countedOpinion(rule, healthyCount, freshCount);
    return opinion === undefined || opinionCode(opinion) === told;
  }

  #quorumOf(place: number, { key, check }: ProbeTarget): QuorumOpinion | undefined {
    const chosen = this.#chosen[place] ?? [];
    const members = chosen.flatMap((index) => this.#members[index] ?? []);
    const isAlone = members.length === 1 && members[0] === this.#own;
    const previous = this.#options.followed(key);
    if (!this.isSettled && previous !== "unknown")
      return { opinion: previous, reason: "waiting for other vantages", vantages: "" };
    if (isAlone && (check.minVantages ?? 1) <= 1) return undefined;
    const nowMs = this.#options.nowMs();
    const reports = members.map((member): VantageReport => {
      const { opinion, reason } = member.at(place);
      const { name: vantage, heardAtMs: atMs } = member;
      return { vantage, verdict: opinionWord(opinion), reason, atMs };
    });
    // Where nothing is known there is nothing to hold.
    const least = previous === "unknown" ? undefined : check.minVantages;
    const rule = ruleOf(check, members.length, least);
    const { verdict, vantages, freshCount, reason, held } = judge(rule, previous, reports, nowMs);
    const said = held ? reason : `${vantages.length} of ${freshCount} vantages: ${reason}`;
    return { opinion: verdict, reason: said, vantages: vantages.toSorted().join(", ") };
  }
}

function ruleOf(
  { percentHealthy }: CheckTiming,
  chosenCount: number,
  least: number | undefined,
): JudgeRule {
  return {
    freshForMs: FRESH_MS,
    minVantages: least ?? Math.floor(chosenCount / 2) + 1,
    quorum: percentHealthy ?? "majority",
    inverted: false,
  };
}

function placeOf({ name, site }: Voice): VantagePlace {
  return { name, site };
}
