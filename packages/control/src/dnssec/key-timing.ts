// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import { DnssecAlgorithm } from "@meridian/dns";
import type { ZoneDnssec } from "@meridian/model";

/** What of a zone's settings decides over its keys; times in milliseconds, names of RFC 7583 §3.1 behind them. */
export interface KeyTiming {
  readonly algorithm: number;
  readonly isCsk: boolean;
  /** TTLkey. */
  readonly dnskeyTtlMs: number;
  /** TTLsig: no answer of the zone is cached for longer. */
  readonly maxZoneTtlMs: number;
  /** Lksk. */
  readonly kskLifetimeMs: number;
  /** Lzsk. */
  readonly zskLifetimeMs: number;
  /** Dprp. */
  readonly propagationMs: number;
  /** DprpP. */
  readonly parentPropagationMs: number;
  /** TTLds. */
  readonly parentDsTtlMs: number;
}

const algorithms = {
  ecdsaP256: DnssecAlgorithm.ECDSAP256SHA256,
  ed25519: DnssecAlgorithm.ED25519,
  rsa2048: DnssecAlgorithm.RSASHA256,
} as const;

export function keyTimingOf(dnssec: ZoneDnssec): KeyTiming {
  const ms = (duration: string): number => parseDuration(duration) ?? 0;
  return {
    algorithm: algorithms[dnssec.algorithm],
    isCsk: dnssec.keys === "csk",
    dnskeyTtlMs: secondsOf(dnssec.dnskeyTtl) * 1000,
    maxZoneTtlMs: ms(dnssec.maxZoneTtl),
    kskLifetimeMs: ms(dnssec.kskLifetime),
    zskLifetimeMs: ms(dnssec.zskLifetime),
    propagationMs: ms(dnssec.propagationDelay),
    parentPropagationMs: ms(dnssec.parentPropagationDelay),
    parentDsTtlMs: ms(dnssec.parentDsTtl),
  };
}

/** Whole seconds of a duration, rounded up: TTLs and times of signatures have no parts of them. */
export function secondsOf(duration: string): number {
  return Math.ceil((parseDuration(duration) ?? 0) / 1000);
}
