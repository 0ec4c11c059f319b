// SPDX-License-Identifier: Apache-2.0

// What is known of one host name, as a step function: state + answers of its name servers → state. A name that cannot be resolved keeps
// its last addresses for MAX_STALE_MS, since old addresses serve better than none, and says so.

import { formatAddress } from "@meridian/model";
import { RESOLVED_MAX } from "@meridian/snapshot";

/** Least time between two look-ups of a name, whatever its TTL. */
export const REFRESH_MS_MIN = 5_000;
/** Longest time between two look-ups. */
export const REFRESH_MS_MAX = 3_600_000;
/** Time to the next look-up after one that failed. */
export const RETRY_MS = 10_000;
/** How long addresses are kept that cannot be confirmed (`maxStale`). */
export const MAX_STALE_MS: number = 24 * 3_600_000;

/** Addresses as wire bytes, ascending, each once, at most RESOLVED_MAX of a family. */
export interface HostAddresses {
  readonly ipv4: readonly Uint8Array[];
  readonly ipv6: readonly Uint8Array[];
}

/** What a name server said of one family of a name. */
export type FamilyAnswer =
  | { readonly addresses: readonly Uint8Array[]; readonly ttlSeconds: number }
  | { readonly error: string; readonly isEmpty: boolean };

interface FamilyState {
  readonly addresses: readonly Uint8Array[];
  /** When a name server last gave them; undefined before the first time. */
  readonly confirmedAtMs: number | undefined;
}

/** What is known of a name; times are those of one monotonic clock. */
export interface HostState {
  readonly ipv4: FamilyState;
  readonly ipv6: FamilyState;
  /** When to look it up again. */
  readonly dueMs: number;
  /** Why the newest look-up failed, where it did. */
  readonly error: string | undefined;
}

/** A name before its first look-up. `known` are addresses from an earlier run, taken as confirmed now. */
export function newHost(nowMs: number, known?: HostAddresses): HostState {
  const family = (addresses: readonly Uint8Array[] | undefined): FamilyState => ({
    addresses: addresses ?? [],
    confirmedAtMs: addresses === undefined || addresses.length === 0 ? undefined : nowMs,
  });
  return { ipv4: family(known?.ipv4), ipv6: family(known?.ipv6), dueMs: nowMs, error: undefined };
}

/** The state after a look-up of both families. No address of one family is an answer only where the other one has some. */
export function settleHost(
  state: HostState,
  ipv4: FamilyAnswer,
  ipv6: FamilyAnswer,
  nowMs: number,
): HostState {
  const isKnown = "addresses" in ipv4 || "addresses" in ipv6;
  const isFailed = (answer: FamilyAnswer): boolean =>
    "error" in answer && !(answer.isEmpty && isKnown);
  const error = [ipv4, ipv6].flatMap((answer) =>
    "error" in answer && isFailed(answer) ? [answer.error] : [],
  )[0];
  const ttls = [ipv4, ipv6].flatMap((answer) =>
    "addresses" in answer ? [answer.ttlSeconds * 1000] : [],
  );
  const waitMs =
    error === undefined
      ? Math.min(REFRESH_MS_MAX, Math.max(REFRESH_MS_MIN, Math.min(...ttls)))
      : RETRY_MS;
  return {
    ipv4: settleFamily(state.ipv4, ipv4, isFailed(ipv4), nowMs),
    ipv6: settleFamily(state.ipv6, ipv6, isFailed(ipv6), nowMs),
    dueMs: nowMs + waitMs,
    error,
  };
}

function settleFamily(
  state: FamilyState,
  answer: FamilyAnswer,
  isFailed: boolean,
  nowMs: number,
): FamilyState {
  if ("addresses" in answer)
    return { addresses: canonical(answer.addresses), confirmedAtMs: nowMs };
  if (!isFailed) return { addresses: [], confirmedAtMs: nowMs };
  const isStale = nowMs - (state.confirmedAtMs ?? nowMs) > MAX_STALE_MS;
  return isStale ? { addresses: [], confirmedAtMs: undefined } : state;
}

/** The addresses to answer and probe. */
export function addressesOf({ ipv4, ipv6 }: HostState): HostAddresses {
  return { ipv4: ipv4.addresses, ipv6: ipv6.addresses };
}

/** Whether two sets hold the same addresses. */
export function equalAddresses(a: HostAddresses, b: HostAddresses): boolean {
  return equalList(a.ipv4, b.ipv4) && equalList(a.ipv6, b.ipv6);
}

/** What an operator should know of a name that cannot be resolved, or undefined where all is well. */
export function hostCondition(name: string, state: HostState, nowMs: number): string | undefined {
  if (state.error === undefined) return undefined;
  const failed = `Cannot resolve "${name}": ${state.error}`;
  const kept = [...state.ipv4.addresses, ...state.ipv6.addresses].map(formatAddress);
  if (kept.length === 0) return `${failed}; it has no addresses`;
  const confirmed = [state.ipv4, state.ipv6].flatMap(({ addresses, confirmedAtMs }) =>
    addresses.length === 0 ? [] : [confirmedAtMs ?? nowMs],
  );
  const ageSeconds = Math.round((nowMs - Math.min(...confirmed)) / 1000);
  const hours = MAX_STALE_MS / 3_600_000;
  return `${failed}; answered by ${kept.join(", ")} of ${ageSeconds} s ago, for at most ${hours} h`;
}

function canonical(addresses: readonly Uint8Array[]): Uint8Array[] {
  const sorted = addresses.toSorted((a, b) => Buffer.compare(a, b));
  return sorted
    .filter((address, index) => {
      const previous = sorted[index - 1];
      return previous === undefined || Buffer.compare(previous, address) !== 0;
    })
    .slice(0, RESOLVED_MAX);
}

function equalList(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return (
    a.length === b.length &&
    a.every((address, index) => {
      const other = b[index];
      return other !== undefined && Buffer.compare(address, other) === 0;
    })
  );
}
