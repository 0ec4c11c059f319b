// SPDX-License-Identifier: Apache-2.0
import type { HealthRunner, TransitionHistory } from "@meridian/health";
import type { DiskTrouble, Position, World, ZoneTable } from "@meridian/snapshot";
import type { ExplainQuestion, ExplainSigning } from "@meridian/snapshot/surface";
import type { SigningView } from "../dnssec/signing-explanation.ts";
import type { ToldState } from "../link/told-controls.ts";
import type { EdgeState } from "../link/edge-state.ts";

/** How an edge stands with the controls. */
export interface LinkState {
  /** URL of the control that is followed; undefined while none is connected. */
  readonly control: string | undefined;
  /** Milliseconds since any control was last heard of; undefined where none ever was. */
  readonly lastWordAgeMs: number | undefined;
  /** Milliseconds since control last said that what is served here is the newest; undefined where it never did. */
  readonly staleMs: number | undefined;
  /** No control is heard of: what is served changes by what this edge probes alone. */
  readonly isIsolated: boolean;
  /** What the disk does not take; undefined where it takes everything. */
  readonly disk: DiskTrouble | undefined;
  /** Milliseconds for which what panels with fenced hand-over govern may still be answered; 0 for not now. */
  readonly leaseMs: number;
  /** Endpoints that such panels govern. */
  readonly fencedEndpoints: number;
}

/** What is served, as an edge tells it to who asks on its own machine. */
export interface ServedEdge {
  readonly world: World;
  /** As workers read them; valid until the next change. */
  readonly slots: Uint32Array;
  /** Wall time at which the revision was taken or restored. */
  readonly sinceMs: number;
}

/** An edge as its local surface sees it. */
export interface LocalEdge {
  readonly name: string;
  readonly version: string;
  readonly position: Position;
  /** Undefined before the first revision. */
  readonly served: ServedEdge | undefined;
  readonly link: LinkState;
  /** As control said it last; undefined where it never did. */
  readonly routingControls: ToldState | undefined;
  /** What this edge probes; undefined before the first plan. */
  readonly health: HealthRunner | undefined;
  readonly transitions: TransitionHistory;
  /** How the answer to a question is signed; undefined where the zone is not. */
  signingOf(
    view: SigningView,
    question: ExplainQuestion,
    zones: ZoneTable,
  ): ExplainSigning | undefined;
  readonly state: Pick<EdgeState, "store" | "journal">;
}
