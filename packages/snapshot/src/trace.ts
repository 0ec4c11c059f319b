// SPDX-License-Identifier: Apache-2.0

/** How a node or branch ended. */
export const Status = { unhealthy: 0, ok: 1, dialed: 2, stopped: 3, noMatch: 4 } as const;

/** EDE codes that selection gives (RFC 8914): why a policy withholds an answer. */
export const WithheldEde = {
  none: 0,
  notReady: 14,
  prohibited: 18,
  noReachableAuthority: 22,
  notSupported: 21,
  other: 0xffff,
} as const;

/** What selection did, in the order in which it did it; explain builds its tree from the depths. */
export type TraceEvent =
  | {
      readonly kind: "node";
      readonly depth: number;
      readonly node: number;
      readonly mode: number;
      readonly audience: number;
      readonly scope: number;
    }
  | {
      readonly kind: "branch";
      readonly depth: number;
      readonly branch: number;
      readonly order: number;
      readonly weight: number;
      readonly total: number;
    }
  | {
      readonly kind: "branchEnd";
      readonly depth: number;
      readonly branch: number;
      readonly status: number;
    }
  | {
      readonly kind: "nodeEnd";
      readonly depth: number;
      readonly node: number;
      readonly status: number;
      readonly action: string;
    }
  | {
      readonly kind: "pool";
      readonly depth: number;
      readonly pool: number;
      readonly mode: number;
      readonly candidates: readonly number[];
      readonly status: number;
    }
  | { readonly kind: "chosen"; readonly depth: number; readonly endpoint: number };

/** Collects events; only explain has one, the answering path holds null. */
export interface Trace {
  add(event: TraceEvent): void;
}
