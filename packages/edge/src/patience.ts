// SPDX-License-Identifier: Apache-2.0

/** Why workers let other threads go first: this process begins, or another one takes its place. It may be both, and then ends twice. */
export type PatienceReason = "begins" | "replaced";

/** Whether workers are patient: for as long as there is a reason. */
export class Patience {
  readonly #reasons: Set<PatienceReason>;
  readonly #tell: (isPatient: boolean) => void;

  /** What is so from the start is known to workers. */
  constructor(reasons: readonly PatienceReason[], tell: (isPatient: boolean) => void) {
    this.#reasons = new Set(reasons);
    this.#tell = tell;
  }

  set(reason: PatienceReason, isReason: boolean): void {
    const wasPatient = this.#reasons.size > 0;
    if (isReason) this.#reasons.add(reason);
    else this.#reasons.delete(reason);
    const isPatient = this.#reasons.size > 0;
    if (isPatient !== wasPatient) this.#tell(isPatient);
  }
}
