// SPDX-License-Identifier: Apache-2.0

// Turns of many tenants at something that only so many may do at once: each has some of its own, and those who wait come in turn by tenant.

export interface FairTurnsOptions {
  /** Those of one tenant at once. */
  readonly ownMax: number;
  /** Those of all at once. */
  readonly allMax: number;
}

export class FairTurns {
  readonly #options: FairTurnsOptions;
  readonly #counts = new Map<string, number>();
  /** In the order in which tenants come next; no queue is empty. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #count = 0;

  constructor(options: FairTurnsOptions) {
    this.#options = options;
  }

  /** Does it when it is the tenant's turn; resolves or rejects as it does. */
  async run<Result>(tenant: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#mayGo(tenant)) this.#go(tenant);
    else
      await new Promise<void>((resolve) => {
        const queue = this.#waiting.get(tenant);
        if (queue === undefined) this.#waiting.set(tenant, [resolve]);
        else queue.push(resolve);
      });
    try {
      return await work();
    } finally {
      this.#end(tenant);
    }
  }

  #mayGo(tenant: string): boolean {
    const { ownMax, allMax } = this.#options;
    return this.#count < allMax && (this.#counts.get(tenant) ?? 0) < ownMax;
  }

  #go(tenant: string): void {
    this.#count += 1;
    this.#counts.set(tenant, (this.#counts.get(tenant) ?? 0) + 1);
  }

  #end(tenant: string): void {
    const own = (this.#counts.get(tenant) ?? 0) - 1;
    this.#count -= 1;
    if (own > 0) this.#counts.set(tenant, own);
    else this.#counts.delete(tenant);
    // One turn is free, so that one may go at most.
    for (const [next, queue] of this.#waiting) {
      if (!this.#mayGo(next)) continue;
      const go = queue.shift();
      this.#waiting.delete(next);
      if (queue.length > 0) this.#waiting.set(next, queue);
      this.#go(next);
      go?.();
      return;
    }
  }
}
