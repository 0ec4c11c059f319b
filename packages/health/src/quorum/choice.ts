// SPDX-License-Identifier: Apache-2.0

// The vantages that judge an endpoint, and by which rule. Many endpoints have the same ones, and share one choice: so judging an endpoint is
// a few look-ups in columns, whatever its vantages say, and the words for a verdict are made once for all endpoints that get it.

import { Verdict as VerdictCode } from "@meridian/snapshot";
import type { CheckTiming } from "../check.ts";
import { countedOpinion, judge, type JudgeRule, type VantageReport } from "../judge.ts";
import type { QuorumOpinion } from "../verdict.ts";
import type { Voice } from "./heard-vantage.ts";
import { opinionCode, opinionWord } from "./opinion-code.ts";

/** Shared choices that are kept; of more a new one is made for each endpoint. */
const CHOICES_MAX = 65_536;

/** Members whose opinions fit into one number. */
const SHARED_MEMBERS_MAX = 32;
const OPINIONS = 3;

/** The last words for an opinion: those of the next endpoint are nearly always the same. */
interface Said {
  /** What each member says, as the digits of a number. */
  readonly codes: number;
  readonly reason: string;
  readonly quorum: QuorumOpinion;
}

/** What of a check matters to its judges. */
export type JudgedCheck = Pick<CheckTiming, "percentHealthy" | "minVantages">;

export class Choice {
  /** Places in the list of live vantages, best first. */
  readonly indices: readonly number[];
  /** Whether nobody but this process judges. */
  readonly isAlone: boolean;
  readonly #members: readonly Voice[];
  readonly #rule: JudgeRule;
  /** Where nothing is known there is nothing to hold. */
  readonly #firstRule: JudgeRule;
  /** By what was said before, and is said now. */
  readonly #said: (Said | undefined)[] = [];

  constructor(indices: readonly number[], live: readonly Voice[], own: Voice, check: JudgedCheck) {
    const { percentHealthy, minVantages } = check;
    this.indices = indices;
    this.#members = indices.flatMap((index) => live[index] ?? []);
    const isOwn = this.#members.length === 1 && this.#members[0] === own;
    this.isAlone = isOwn && (minVantages ?? 1) <= 1;
    const half = Math.floor(indices.length / 2) + 1;
    this.#firstRule = {
      // Whoever is live was heard of lately.
      freshForMs: Number.POSITIVE_INFINITY,
      minVantages: half,
      quorum: percentHealthy ?? "majority",
      inverted: false,
    };
    this.#rule = { ...this.#firstRule, minVantages: minVantages ?? half };
  }

  /** What they come to as a code, `previous` where that is held. `columns` are the opinions of all live vantages by place. */
  codeAt(place: number, previous: number, columns: readonly Uint8Array[]): number {
    let healthyCount = 0;
    let freshCount = 0;
    for (const index of this.indices) {
      const opinion = columns[index]?.[place] ?? 0;
      if (opinion === VerdictCode.healthy) healthyCount++;
      if (opinion !== VerdictCode.unknown) freshCount++;
    }
    const opinion = countedOpinion(this.#ruleAfter(previous), healthyCount, freshCount);
    return opinion === undefined ? previous : opinionCode(opinion);
  }

  /** The same in words; `code` is what it comes to. */
  opinionAt(place: number, previous: number, code: number): QuorumOpinion {
    const members = this.#members;
    let codes = 0;
    let reason = "";
    for (const member of members) {
      const opinion = member.opinionAt(place);
      if (opinion === code && reason === "") reason = member.reasonAt(place);
      codes = codes * OPINIONS + opinion;
    }
    // Of more members a number does not hold what each of them says.
    if (members.length > SHARED_MEMBERS_MAX) return this.#judge(place, previous);
    const said = this.#said[previous * OPINIONS + code];
    if (said?.codes === codes && said.reason === reason) return said.quorum;
    const quorum = this.#judge(place, previous);
    this.#said[previous * OPINIONS + code] = { codes, reason, quorum };
    return quorum;
  }

  #judge(place: number, previous: number): QuorumOpinion {
    const reports = this.#members.map((member): VantageReport => ({
      vantage: member.name,
      verdict: opinionWord(member.opinionAt(place)),
      reason: member.reasonAt(place),
      atMs: 0,
    }));
    const judgement = judge(this.#ruleAfter(previous), opinionWord(previous), reports, 0);
    const { verdict: opinion, vantages, freshCount, reason, held } = judgement;
    const said = held ? reason : `${vantages.length} of ${freshCount} vantages: ${reason}`;
    return { opinion, reason: said, vantages: vantages.toSorted().join(", ") };
  }

  #ruleAfter(previous: number): JudgeRule {
    return previous === VerdictCode.unknown ? this.#firstRule : this.#rule;
  }
}

/** The choices among one list of live vantages. */
export class Choices {
  readonly #live: readonly Voice[];
  readonly #own: Voice;
  readonly #shared = new Map<string, Choice>();

  constructor(live: readonly Voice[], own: Voice) {
    this.#live = live;
    this.#own = own;
  }

  of(indices: readonly number[], check: JudgedCheck): Choice {
    const text = `${indices.join()} ${check.minVantages ?? ""} ${check.percentHealthy ?? ""}`;
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    const choice = new Choice(indices, this.#live, this.#own, check);
    if (this.#shared.size < CHOICES_MAX) this.#shared.set(text, choice);
    return choice;
  }
}
