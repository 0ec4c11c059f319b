// SPDX-License-Identifier: Apache-2.0

/** What the edge of this process counted; the application gathers it, since control and edge do not know each other. */
export interface EdgeFigures {
  /** Totals since the start, by the names in docs/reference/metrics.md without prefix and suffix. */
  readonly totals: Readonly<Record<string, number>>;
  readonly rcodes: Readonly<Record<string, number>>;
  /** Queries by index, in the order of the served world; they start anew with a snapshot that has other members. */
  readonly zones: Float64Array;
  readonly policies: Float64Array;
  readonly pools: Float64Array;
  readonly endpoints: Float64Array;
  /** Answers by node and by branch of the policies; queries by audience of each node (`SelectionLayout`). */
  readonly nodes: Float64Array;
  readonly branches: Float64Array;
  readonly audiences: Float64Array;
  readonly transport: string;
  readonly workers: readonly {
    readonly index: number;
    readonly role: string;
    readonly state: string;
    readonly restarts: number;
  }[];
  readonly addresses: readonly string[];
}

/** How the API gets at the edge. */
export interface EdgeFiguresSource {
  figures(): EdgeFigures;
  topNames(count: number): readonly { readonly name: string; readonly queries: number }[];
}
