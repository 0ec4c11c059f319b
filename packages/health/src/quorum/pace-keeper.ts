// SPDX-License-Identifier: Apache-2.0

// Targets at the pace at which this vantage probes each: all of them, those that it was chosen for at that of their check, the others
// less often, as it may have to judge alone one day. Checks are shared by many targets, and so are the slowed ones.

import type { CheckSpec, ProbeTarget, Verdict } from "../check.ts";
import type { HealthRunner } from "../runner.ts";
import { isJudgedByMany } from "./target-order.ts";

/** How many times less often others are probed. */
const SLOWDOWN = 3;

export class PaceKeeper {
  readonly #runner: Pick<HealthRunner, "changeTargets">;
  readonly #slow = new Set<string>();
  readonly #slowed = new WeakMap<CheckSpec, CheckSpec>();

  constructor(runner: Pick<HealthRunner, "changeTargets">) {
    this.#runner = runner;
  }

  /** As `HealthRunner.changeTargets`. */
  change(
    changed: readonly ProbeTarget[],
    gone: readonly string[],
    restored: (key: string) => Verdict | undefined,
  ): void {
    for (const key of gone) this.#slow.delete(key);
    const paced = changed.map((target) => {
      // What is not judged by many any more is probed at its own pace.
      if (!isJudgedByMany(target)) this.#slow.delete(target.key);
      return this.#at(target, this.#slow.has(target.key));
    });
    this.#runner.changeTargets(paced, gone, restored);
  }

  /** Probes those of `targets` that it is chosen for at full pace from now on, and the others less often. */
  follow(targets: readonly ProbeTarget[], isChosenAt: (place: number) => boolean): void {
    const paced: ProbeTarget[] = [];
    for (const [place, target] of targets.entries()) {
      const isSlow = !isChosenAt(place);
      if (isSlow === this.#slow.has(target.key)) continue;
      if (isSlow) this.#slow.add(target.key);
      else this.#slow.delete(target.key);
      paced.push(this.#at(target, isSlow));
    }
    if (paced.length > 0) this.#runner.changeTargets(paced, [], () => undefined);
  }

  #at(target: ProbeTarget, isSlow: boolean): ProbeTarget {
    return isSlow ? { ...target, check: this.#slowedCheck(target.check) } : target;
  }

  #slowedCheck(check: CheckSpec): CheckSpec {
    const known = this.#slowed.get(check);
    if (known !== undefined) return known;
    const slow = { ...check, intervalMs: check.intervalMs * SLOWDOWN, slowdown: SLOWDOWN };
    this.#slowed.set(check, slow);
    return slow;
  }
}
