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
  readonly #targets = new Map<string, ProbeTarget>();
  readonly #slow = new Set<string>();
  readonly #slowed = new WeakMap<CheckSpec, CheckSpec>();

  constructor(runner: Pick<HealthRunner, "changeTargets">) {
    this.#runner = runner;
  }

  /** By key, as the plan has them. */
  get targets(): ReadonlyMap<string, ProbeTarget> {
    return this.#targets;
  }

  /** As `HealthRunner.changeTargets`. */
  change(
    changed: readonly ProbeTarget[],
    gone: readonly string[],
    restored: (key: string) => Verdict | undefined,
  ): void {
    for (const key of gone) {
      this.#targets.delete(key);
      this.#slow.delete(key);
    }
    for (const target of changed) this.#targets.set(target.key, target);
    const paced = changed.map((target) => this.#at(target, this.#slow.has(target.key)));
    this.#runner.changeTargets(paced, gone, restored);
  }

  /** Probes those that it is chosen for at full pace from now on, and the others less often. */
  follow(isChosen: (key: string) => boolean): void {
    const moved: ProbeTarget[] = [];
    for (const target of this.#targets.values()) {
      const isSlow = isJudgedByMany(target) && !isChosen(target.key);
      if (isSlow === this.#slow.has(target.key)) continue;
      if (isSlow) this.#slow.add(target.key);
      else this.#slow.delete(target.key);
      moved.push(this.#at(target, isSlow));
    }
    if (moved.length > 0) this.#runner.changeTargets(moved, [], () => undefined);
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
