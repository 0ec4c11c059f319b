// SPDX-License-Identifier: Apache-2.0

// The pools section (kind 2): every pool and every endpoint of a snapshot. A pool's endpoints lie together, in order of
// (priority, member name), so a pool is a (start, count) pair and an endpoint is named by its index in the section.

/** Tables of the pools section. */
export const PoolsTable = {
  pools: 16,
  poolKeys: 17,
  endpoints: 18,
  endpointKeys: 19,
  memberNames: 20,
  sites: 21,
} as const;

/** Words of a pool entry. */
export const POOL_WORDS = 8;
export const PoolWord = {
  memberStart: 0,
  memberCount: 1,
  /** answers (8 bits) | flags << 8. */
  settings: 2,
  minHealthy: 3,
  dial: 4,
  textOffset: 5,
  textLength: 6,
  /** Lower half of the pool's key: separates its draws, stable across snapshots. */
  salt: 7,
} as const;

/** Words of an endpoint entry. */
export const ENDPOINT_WORDS = 8;
export const EndpointWord = {
  /** weight (20 bits) | priority << 20 (7 bits) | serve << 27 (2 bits). */
  weight: 0,
  /** flags | port << 16 (0: not stated). */
  flags: 1,
  /** The four address bytes as they go on the wire. */
  ipv4: 2,
  /** Heap offset of the sixteen address bytes. */
  ipv6: 3,
  /** Heap offset of the uncompressed wire name. */
  hostName: 4,
  /** Index into the sites table. */
  site: 5,
  /** 32-bit hash of the failure domain: answers are spread over different ones. */
  domain: 6,
  /** Capacity units, rounded (0: not stated). */
  capacity: 7,
} as const;

export const EndpointFlag = {
  ipv4: 1,
  ipv6: 2,
  hostName: 4,
  /** Judged by a check, so the verdict counts. */
  checked: 8,
  /** Host name resolved by the control plane: answers hold its addresses. */
  resolve: 16,
  /** An unknown verdict counts as healthy (`initial: healthy`). */
  unknownServes: 32,
} as const;

/** Values of an endpoint's `serve` field. */
export const Serve = { auto: 0, always: 1, never: 2 } as const;

/** `minHealthy` in one word: 0 none, else value | kind << 24 | perFamily << 31. */
export const MinHealthyKind = { count: 1, percent: 2 } as const;

export interface MinHealthy {
  readonly kind: number;
  readonly value: number;
  readonly isPerFamily: boolean;
}

export function encodeMinHealthy(min: MinHealthy | undefined): number {
  if (min === undefined) return 0;
  return ((min.value & 0xff_ffff) | (min.kind << 24) | (min.isPerFamily ? 0x8000_0000 : 0)) >>> 0;
}

/**
 * How many of `configured` (members, or weight) must be healthy: a count as it is, a percent rounded up. Drained members are in
 * neither side.
 */
export function healthyNeeded(encoded: number, configured: number): number {
  if (encoded === 0) return 0;
  const value = encoded & 0xff_ffff;
  const kind = (encoded >>> 24) & 0x7f;
  return kind === MinHealthyKind.percent ? Math.ceil((configured * value) / 100) : value;
}
