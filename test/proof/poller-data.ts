// SPDX-License-Identifier: Apache-2.0

/** What the poller's thread is given. */
export interface PollerData {
  readonly portIpv4: number;
  readonly portIpv6: number;
  /** Sources with an even number ask over IPv4, the others over IPv6; those below `udpSources` over UDP, the others over TCP. */
  readonly sources: number;
  readonly udpSources: number;
  /** Each source asks for each name once in this time. */
  readonly periodMs: number;
  /** Addresses of the victim: dotted IPv4, or 32 hexadecimal digits. */
  readonly names: readonly { readonly name: string; readonly victims: readonly string[] }[];
  /** `FIELDS` numbers for each (name, source). */
  readonly facts: SharedArrayBuffer;
}

export const Field = { lastVictim: 0, firstVictim: 1, answers: 2 } as const;
export const FIELDS = 3;

/** Milliseconds of the clock that all threads of a machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
