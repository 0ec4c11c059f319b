// SPDX-License-Identifier: Apache-2.0
import { lookup, Resolver } from "node:dns/promises";
import { systemClock, type Clock } from "@meridian/core";
import { addressBytes, formatAddress, type Model } from "@meridian/model";
import {
  addressesOf,
  equalAddresses,
  hostCondition,
  newHost,
  settleHost,
  type FamilyAnswer,
  type HostAddresses,
  type HostState,
} from "./host-state.ts";

/** Look-ups under way at once. */
const LOOKUPS_MAX = 16;
/** Time that a name server has for one try, and tries. */
const QUERY_TIMEOUT_MS = 2000;
const QUERY_TRIES = 2;
/** How long an address from the system's own table (which states no TTL) is taken to hold. */
const TABLE_TTL_SECONDS = 30;

export interface HostResolverOptions {
  /** Called after a look-up round in which any addresses changed. */
  readonly onChange: () => void;
  readonly clock?: Clock;
  /** Name servers as `ADDRESS` or `ADDRESS:PORT`; those of the system, and its table of hosts, unless given. */
  readonly servers?: readonly string[];
}

/** Resolves host names of members and branches, each again at the end of its TTL. */
export class HostResolver {
  readonly #options: HostResolverOptions;
  readonly #clock: Clock;
  readonly #resolver: Resolver;
  readonly #hosts = new Map<string, HostState>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: HostResolverOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
    if (options.servers !== undefined) this.#resolver.setServers([...options.servers]);
  }

  /**
   * Takes the names to resolve and looks the new ones up in the background. `known` gives addresses that a new name had in an earlier
   * run of the process.
   */
  want(names: ReadonlySet<string>, known: ReadonlyMap<string, HostAddresses> = new Map()): void {
    for (const name of this.#hosts.keys()) if (!names.has(name)) this.#hosts.delete(name);
    const nowMs = this.#clock.monotonicMs();
    for (const name of names)
      if (!this.#hosts.has(name)) this.#hosts.set(name, newHost(nowMs, known.get(name)));
    this.#schedule();
  }

  /** What each name resolves to. */
  addresses(): ReadonlyMap<string, HostAddresses> {
    return new Map([...this.#hosts].map(([name, state]) => [name, addressesOf(state)]));
  }

  /** The address to probe each name at, as text: the least IPv4 address, else the least IPv6 one. */
  probeAddresses(): ReadonlyMap<string, string> {
    const addresses = new Map<string, string>();
    for (const [name, state] of this.#hosts) {
      const first = state.ipv4.addresses[0] ?? state.ipv6.addresses[0];
      if (first !== undefined) addresses.set(name, formatAddress(first));
    }
    return addresses;
  }

  /** The names that cannot be resolved, and what is answered for them. */
  conditions(): { readonly subject: string; readonly message: string }[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#hosts].flatMap(([name, state]) => {
      const message = hostCondition(name, state, nowMs);
      return message === undefined ? [] : [{ subject: `host/${name}`, message }];
    });
  }

  /** Looks up every name that is due; resolves when all are settled. Rounds do not overlap. */
  refresh(): Promise<void> {
    this.#round ??= this.#refresh().finally(() => {
      this.#round = undefined;
      this.#schedule();
    });
    return this.#round;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#resolver.cancel();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || this.#hosts.size === 0 || this.#round !== undefined) return;
    const dueMs = Math.min(...[...this.#hosts.values()].map((state) => state.dueMs));
    const waitMs = Math.max(0, dueMs - this.#clock.monotonicMs());
    this.#timer = setTimeout(() => void this.refresh(), waitMs);
    this.#timer.unref();
  }

  async #refresh(): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    const queue = [...this.#hosts].flatMap(([name, { dueMs }]) => (dueMs <= startMs ? [name] : []));
    let hasChanged = false;
    const worker = async (): Promise<void> => {
      for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
        const [ipv4, ipv6] = await this.#lookUp(name);
        const before = this.#hosts.get(name);
        if (before === undefined || this.#isClosed) continue;
        const after = settleHost(before, ipv4, ipv6, this.#clock.monotonicMs());
        this.#hosts.set(name, after);
        if (!equalAddresses(addressesOf(before), addressesOf(after))) hasChanged = true;
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKUPS_MAX, queue.length) }, worker));
    if (hasChanged && !this.#isClosed) this.#options.onChange();
  }

  async #lookUp(name: string): Promise<readonly [FamilyAnswer, FamilyAnswer]> {
    const [ipv4, ipv6] = await Promise.all([
      answerOf(this.#resolver.resolve4(name, { ttl: true })),
      answerOf(this.#resolver.resolve6(name, { ttl: true })),
    ]);
    if ("addresses" in ipv4 || "addresses" in ipv6 || this.#options.servers !== undefined)
      return [ipv4, ipv6];
    // A name that no name server knows may be in the system's table of hosts.
    return (await fromTable(name)) ?? [ipv4, ipv6];
  }
}

/** Host names that members of any pool have for an address. */
export function hostNamesOf(model: Pick<Model, "pools">): Set<string> {
  const names = new Set<string>();
  for (const pool of model.pools.values()) {
    for (const { spec } of pool.members.values())
      if (addressBytes(spec.address) === undefined) names.add(spec.address);
  }
  return names;
}

async function answerOf(
  records: Promise<readonly { readonly address: string; readonly ttl: number }[]>,
): Promise<FamilyAnswer> {
  try {
    const found = await records;
    const addresses = found.flatMap(({ address }) => addressBytes(address) ?? []);
    if (addresses.length === 0) return { error: "ENODATA", isEmpty: true };
    return { addresses, ttlSeconds: Math.min(...found.map(({ ttl }) => ttl)) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { error: code, isEmpty: code === "ENODATA" };
  }
}

async function fromTable(name: string): Promise<readonly [FamilyAnswer, FamilyAnswer] | undefined> {
  try {
    const found = await lookup(name, { all: true });
    const family = (wanted: number): FamilyAnswer => {
      const addresses = found.flatMap(({ address, family: its }) =>
        its === wanted ? (addressBytes(address) ?? []) : [],
      );
      return addresses.length === 0
        ? { error: "ENODATA", isEmpty: true }
        : { addresses, ttlSeconds: TABLE_TTL_SECONDS };
    };
    return [family(4), family(6)];
  } catch {
    return undefined;
  }
}
