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
import type { ProbeTarget, Verdict } from "../check.ts";
import type { Opinion } from "../runner-options.ts";
import type { SuspicionState } from "../suspicion.ts";
import type { QuorumOpinion } from "../verdict.ts";
import { Choices, type Choice } from "./choice.ts";
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
  #choices: Choices;
  /** By place. */
  #chosen: Choice[] = [];
  /** What was handed on by place: an opinion's code, or that there was none. */
  #told = new Uint8Array(0);

  constructor(options: QuorumOptions) {
    this.#options = options;
    this.#startMs = options.nowMs();
    this.#own = this.#ownVoice();
    this.#choices = new Choices([], this.#own);
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
      const nobody = this.#choices.of([], {});
      this.#chosen = Array.from(was, (from) => this.#chosen[from] ?? nobody);
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
    this.#judgeAll(changed);
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
    return this.#chosen[place]?.indices.includes(own) === true;
  }

  /** What every vantage says of a target. */
  witnesses(key: string): Witness[] {
    const place = this.#order.placeOf(key);
    if (place < 0 || this.#heard.size === 0) return [];
    const chosen = this.#chosen[place]?.indices.map((index) => this.#members[index]) ?? [];
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
    for (const { indices } of this.#chosen)
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
    this.#choices = new Choices(members, this.#own);
    this.#choose();
    this.#judgeAll(this.#order.targets.keys());
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
    const opinions = (): Uint8Array => this.#opinions.opinions;
    const at = (place: number): HeardOpinion => this.#opinions.at(place);
    return {
      ...own,
      reports: 0,
      at,
      opinionAt: (place) => this.#opinions.opinions[place] ?? 0,
      reasonAt: (place) => this.#opinions.reasonAt(place),
      get opinions() {
        return opinions();
      },
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

  #chosenFor(place: number, { check }: ProbeTarget): Choice {
    const hash = this.#order.hashes[place] ?? 0;
    return this.#choices.of(chooseVantages(this.#live, hash, check), check);
  }

  #forget(place: number): void {
    this.#opinions.forget(place);
    for (const vantage of this.#heard.values()) vantage.forget(place);
  }

  /** By columns: most opinions that change do not change the verdict, and those cost some 30 ns each. */
  #judgeAll(places: Iterable<number>): void {
    const columns = this.#columns();
    const { isSettled } = this;
    for (const place of places) this.#judgeAt(place, columns, isSettled);
  }

  #judge(place: number): void {
    this.#judgeAt(place, this.#columns(), this.isSettled);
  }

  #columns(): readonly Uint8Array[] {
    return this.#members.map(({ opinions }) => opinions);
  }

  /** Hands on what a target's vantages come to, where that is not what was told. */
  #judgeAt(place: number, columns: readonly Uint8Array[], isSettled: boolean): void {
    const told = this.#told[place] ?? NOT_TOLD;
    const choice = this.#chosen[place];
    if (choice === undefined) return;
    if (!isSettled && told !== VerdictCode.unknown && told !== NOT_TOLD) return;
    const isAlone = isSettled && choice.isAlone;
    if (isAlone && told === NOT_TOLD) return;
    if (!isSettled || isAlone || told === NOT_TOLD) {
      this.#begin(place, choice, columns, isSettled);
      return;
    }
    const code = choice.codeAt(place, told, columns);
    if (code !== told) this.#tell(place, code, choice.opinionAt(place, told, code));
  }

  /** As long as nothing was told of a target, what its verdict follows is what this process says of it. */
  #begin(place: number, choice: Choice, columns: readonly Uint8Array[], isSettled: boolean): void {
    const key = this.#order.targets[place]?.key;
    if (key === undefined) return;
    const followed = this.#options.followed(key);
    const previous = opinionCode(followed);
    if (!isSettled && followed !== "unknown") {
      const reason = "waiting for other vantages";
      this.#tell(place, previous, { opinion: followed, reason, vantages: "" });
    } else if (choice.isAlone) {
      this.#tell(place, NOT_TOLD, undefined);
    } else {
      const code = choice.codeAt(place, previous, columns);
      this.#tell(place, code, choice.opinionAt(place, previous, code));
    }
  }

  #tell(place: number, code: number, quorum: QuorumOpinion | undefined): void {
    const target = this.#order.targets[place];
    if (target === undefined || this.#told[place] === code) return;
    this.#told[place] = code;
    this.#options.onJudged(target.key, quorum);
  }
}

function placeOf({ name, site }: Voice): VantagePlace {
  return { name, site };
}
