// SPDX-License-Identifier: Apache-2.0

// Chances of the loop "choose by weight; where the choice does not hold, drop it and choose among the rest". Summing over the orders in
// which choices can be dropped takes n! steps: a pool of 40 members, each dialed to a half, would never end. It need not be done: whoever
// is chosen is the first in a weighted random order of those that hold, so that
//
//   P(i) = holdsᵢ · E[ wᵢ ÷ (wᵢ + Σ wⱼ over the others that hold) ]  =  holdsᵢ · ∫₀^∞ wᵢ e^(−wᵢt) · Π (1 − holdsⱼ + holdsⱼ e^(−wⱼt)) dt
//
// With t = eˢ the integrand falls off exponentially on both sides, where the trapezoidal rule is as good as exact.

/** Step of s: the error falls as e^(−π²/step). */
const STEP = 0.2;
/** Parts of a chance that do not count. */
const NEGLIGIBLE = 1e-14;
/** The sum is right to this, and rounded to it. */
const PRECISION = 2 ** -40;

/** A choice: its weight, above 0, and how likely it holds, 0 to 1. */
export interface Choice {
  readonly weight: number;
  readonly holds: number;
}

/** For each choice the chance that it is the one. What is missing to 1 is the chance that none holds. */
export function firstKept(choices: readonly Choice[]): number[] {
  const total = choices.reduce((sum, { weight, holds }) => sum + (holds > 0 ? weight : 0), 0);
  if (choices.every(({ holds }) => holds <= 0 || holds >= 1))
    return choices.map(({ weight, holds }) => (holds > 0 ? weight / total : 0));
  const live = choices.filter(({ holds }) => holds > 0).map(({ weight }) => weight / total);
  const from = Math.log(NEGLIGIBLE);
  const to = Math.log(-Math.log(NEGLIGIBLE) / live.reduce((least, own) => Math.min(least, own), 1));
  const chances = choices.map(() => 0);
  for (let s = from; s <= to; s += STEP) {
    const t = Math.exp(s);
    const logs = choices.map(({ weight, holds }) => logOfNotBefore((weight / total) * t, holds));
    const whole = logs.reduce((sum, own) => sum + own, 0);
    choices.forEach(({ weight, holds }, index) => {
      const rate = (weight / total) * t;
      if (holds > 0)
        chances[index]! += holds * rate * Math.exp(whole - (logs[index] ?? 0) - rate) * STEP;
    });
  }
  return chances.map((chance) => Math.round(chance / PRECISION) * PRECISION);
}

/** Logarithm of the chance that a choice does not hold, or comes later than `time` (in units of its own weight). */
function logOfNotBefore(time: number, holds: number): number {
  return holds >= 1 ? -time : Math.log1p(holds * Math.expm1(-time));
}
