// SPDX-License-Identifier: Apache-2.0
import { lookup } from "node:dns/promises";
import { addressKind, type Model } from "@meridian/model";

/** How often host names of members are looked up again. */
const REFRESH_MS = 30_000;
/** Look-ups under way at once. */
const LOOKUPS_MAX = 16;

/** Addresses of members that are host names, for probing. A name that fails keeps its last address. */
export class HostResolver {
  readonly addresses: Map<string, string> = new Map();
  readonly #onChange: () => void;
  #names: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Takes the names of a model; looks the new ones up in the background. */
  want(model: Model): void {
    const names = new Set<string>();
    for (const pool of model.pools.values()) {
      for (const { spec } of pool.members.values())
        if (addressKind(spec.address) === undefined) names.add(spec.address);
    }
    this.#names = [...names];
    for (const known of this.addresses.keys()) if (!names.has(known)) this.addresses.delete(known);
    clearTimeout(this.#timer);
    if (this.#names.length > 0) void this.#refresh();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #refresh(): Promise<void> {
    let changed = false;
    const queue = [...this.#names];
    const worker = async (): Promise<void> => {
      for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
        const address = await addressOf(name);
        if (address === undefined || this.addresses.get(name) === address) continue;
        this.addresses.set(name, address);
        changed = true;
      }
    };
    await Promise.all(Array.from({ length: LOOKUPS_MAX }, worker));
    if (this.#isClosed) return;
    if (changed) this.#onChange();
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
    this.#timer.unref();
  }
}

async function addressOf(name: string): Promise<string | undefined> {
  try {
    return (await lookup(name)).address;
  } catch {
    return undefined;
  }
}
