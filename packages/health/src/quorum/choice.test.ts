// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { judge } from "../judge.ts";
import { Choices } from "./choice.ts";
import type { Voice } from "./heard-vantage.ts";
import { opinionWord } from "./opinion-code.ts";

const REASONS = ["ok", "refused", "timeout"] as const;
const PLACES = 4;

const opinion = fc.integer({ min: 0, max: 2 });
const column = fc.array(opinion, { minLength: PLACES, maxLength: PLACES });

function voiceOf(name: string, opinions: readonly number[], reasons: readonly number[]): Voice {
  const column = Uint8Array.from(opinions);
  const reasonAt = (place: number): string => REASONS[reasons[place] ?? 0] ?? "";
  return {
    name,
    site: name,
    suspicion: 0,
    heardAtMs: 0,
    reports: 1,
    opinions: column,
    opinionAt: (place) => column[place] ?? 0,
    reasonAt,
    at: (place) => ({ opinion: column[place] ?? 0, reason: reasonAt(place), sinceMs: 0 }),
  };
}

test("a choice that many endpoints share says of each what judge() does", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(column, column), { minLength: 1, maxLength: 5 }),
      fc.array(opinion, { minLength: PLACES, maxLength: PLACES }),
      fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      fc.option(fc.integer({ min: 0, max: 99 }), { nil: undefined }),
      (said, before, minVantages, percentHealthy) => {
        const voices = said.map(([opinions, reasons], at) => voiceOf(`v${at}`, opinions, reasons));
        const own = voiceOf("own", [], []);
        const check = {
          ...(minVantages === undefined ? {} : { minVantages }),
          ...(percentHealthy === undefined ? {} : { percentHealthy }),
        };
        const choices = new Choices(voices, own);
        const columns = voices.map(({ opinions }) => opinions);
        for (let place = 0; place < PLACES; place++) {
          const choice = choices.of([...voices.keys()], check);
          const previous = before[place] ?? 0;
          const half = Math.floor(voices.length / 2) + 1;
          const rule = {
            freshForMs: 1,
            minVantages: previous === 0 ? half : (minVantages ?? half),
            quorum: percentHealthy ?? ("majority" as const),
            inverted: false,
          };
          const reports = voices.map((voice) => ({
            vantage: voice.name,
            verdict: opinionWord(voice.opinionAt(place)),
            reason: voice.reasonAt(place),
            atMs: 0,
          }));
          const { verdict, held, reason, vantages, freshCount } = judge(
            rule,
            opinionWord(previous),
            reports,
            0,
          );
          const code = choice.codeAt(place, previous, columns);
          assert.equal(opinionWord(code), verdict);
          assert.deepEqual(choice.opinionAt(place, previous, code), {
            opinion: verdict,
            reason: held ? reason : `${vantages.length} of ${freshCount} vantages: ${reason}`,
            vantages: vantages.join(", "),
          });
        }
      },
    ),
  );
});

test("a process that is chosen alone leaves its endpoints to itself, unless more are wanted", () => {
  const own = voiceOf("own", [1], [0]);
  const choices = new Choices([own], own);
  assert.equal(choices.of([0], {}).isAlone, true);
  assert.equal(choices.of([0], { minVantages: 2 }).isAlone, false);
  assert.equal(choices.of([], {}).isAlone, false);
});
