// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { stepSecrets, type CookieSecret } from "./cookie-rotation.ts";

const MINUTE_MS = 60_000;

function names(secrets: readonly CookieSecret[]): string {
  return secrets.map(({ secret }) => secret).join();
}

it("stepSecrets() has each secret taken before it is used, and for as long as its cookies live", () => {
  let secrets: readonly CookieSecret[] = [];
  let made = 0;
  const steps: string[] = [];
  for (let minute = 0; minute < 3000; minute++) {
    const before = secrets;
    secrets = stepSecrets(secrets, minute * MINUTE_MS, () => String(++made));
    if (secrets !== before) steps.push(`${minute}: ${names(secrets)}`);
  }
  assert.deepEqual(steps, [
    "0: 1",
    "1440: 1,2",
    "1450: 2,1",
    "1525: 2",
    "2890: 2,3",
    "2900: 3,2",
    "2975: 3",
  ]);
});

it("however late steps and edges are, a cookie that is an hour old is taken everywhere", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 5, maxLength: 40 }),
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 0, max: 10 }),
      (pauses, makerLate, takerLate) => {
        let secrets: readonly CookieSecret[] = [];
        let made = 0;
        const shown: { readonly fromMinute: number; readonly secrets: readonly CookieSecret[] }[] =
          [];
        let minute = 0;
        for (const pause of pauses) {
          secrets = stepSecrets(secrets, minute * MINUTE_MS, () => String(++made));
          shown.push({ fromMinute: minute, secrets });
          minute += pause;
        }
        const at = (when: number): readonly CookieSecret[] =>
          shown.findLast(({ fromMinute }) => fromMinute <= when)?.secrets ?? [];
        for (let when = 11; when + 60 < minute; when += 7) {
          const [maker] = at(when - makerLate);
          for (const age of [0, 1, 30, 60]) {
            const takers = at(when + age - takerLate);
            assert.ok(takers.some(({ secret }) => secret === maker?.secret));
          }
        }
      },
    ),
    { numRuns: 100 },
  );
});
