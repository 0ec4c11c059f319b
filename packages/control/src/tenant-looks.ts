// SPDX-License-Identifier: Apache-2.0

// Looks each second, or so, at what each tenant has: one look of a tenant at a time, tenants side by side. So one whose Prometheus hangs waits
// for it alone. What a look throws is logged, and the next one comes all the same.

import { reasonOf } from "@meridian/core";
import type { Logger } from "./embedded-options.ts";

/** Tenants that are looked at at once; the others wait for their turn, first come, first served. */
const TENANTS_MAX = 64;

export interface TenantLooksOptions {
  /** What the log calls it: `drills`. */
  readonly what: string;
  readonly everyMs: number;
  /** Those that there is something to look at of; asked before each look. */
  readonly tenants: () => Iterable<string>;
  readonly look: (tenant: string) => Promise<void>;
  readonly logger: Logger;
}

export class TenantLooks {
  readonly #options: TenantLooksOptions;
  /** Under way, or waiting for their turn. */
  readonly #looks = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Why the last look failed, by tenant; `""` for none. */
  readonly #reasons = new Map<string, string>();

  constructor(options: TenantLooksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), this.#options.everyMs).unref();
  }

  /** Resolves when what is under way is over: ends it before. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const go of this.#waiting.splice(0)) go();
    await Promise.all(this.#looks.values());
  }

  /** Looks at every tenant; at one that is being looked at not once more. Resolves when all of them are over; never rejects. */
  async look(): Promise<void> {
    if (this.#isClosed) return;
    try {
      const tenants = [...new Set(this.#options.tenants())];
      await Promise.all(tenants.map((tenant) => this.#lookAt(tenant)));
    } catch (error) {
      this.#failed(error, "");
    }
  }

  #lookAt(tenant: string): Promise<void> {
    const looking = this.#looks.get(tenant) ?? this.#inTurn(tenant);
    this.#looks.set(tenant, looking);
    return looking;
  }

  async #inTurn(tenant: string): Promise<void> {
    if (this.#count < TENANTS_MAX) this.#count += 1;
    else
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    try {
      // Not in the turn that asks: what is told of it comes after.
      await Promise.resolve();
      if (!this.#isClosed) await this.#options.look(tenant);
      this.#reasons.delete(tenant);
    } catch (error) {
      this.#failed(error, tenant);
    } finally {
      this.#looks.delete(tenant);
      const next = this.#waiting.shift();
      if (next === undefined) this.#count -= 1;
      else next();
    }
  }

  /** Once, and not each second. */
  #failed(error: unknown, tenant: string): void {
    const reason = reasonOf(error);
    if (!this.#isClosed && reason !== this.#reasons.get(tenant))
      this.#options.logger.error({ tenant, reason }, `Cannot look at ${this.#options.what}`);
    this.#reasons.set(tenant, reason);
  }
}
