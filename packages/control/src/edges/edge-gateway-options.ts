// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "@meridian/core";
import type { TrafficCounts, UpdateAnswer, VantagePlace } from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { RefusalLog } from "../access/refusal-log.ts";
import type { PublicationEvents } from "./edge-hub.ts";
import type { Leading } from "../cells/cell-keeper.ts";
import type { ControlView } from "./control-peers.ts";
import type { KeyPlace } from "../state/sealing-key.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import type { DrainTally } from "../traffic/measured-traffic.ts";
import type { ServedWeightsOptions } from "../weights/weights-reach.ts";
import type { SecretsOf } from "./vantage-hub.ts";

/** What the edges of a control plane need of it. */
export interface EdgeGatewayOptions {
  readonly state: StateDocuments;
  /** The keys that seal what must not lie in the store in clear. */
  readonly keyPlace: KeyPlace;
  /** Where what is probed is kept. */
  readonly stateFolder: string;
  /** `HOST:PORT`. */
  readonly listen: string;
  readonly section: (name: string) => SharedArrayBuffer | undefined;
  /** Where the copy of the store lies that edges are given; its folder is there. */
  readonly copyPath: string;
  /** A report of a vantage, as it came. */
  readonly hear: (from: VantagePlace, payload: Uint8Array) => void;
  /** Of this control among others of its store. */
  readonly name: string;
  /** Where it is; empty where that is not told. */
  readonly site: string;
  readonly version: string;
  /** How this control stands, without its address. */
  readonly control: () => Promise<Omit<ControlView, "name" | "address" | "authorityEndsMs">>;
  /** A section of an earlier revision, which some edges are still sent. */
  readonly storedSection?: (name: string) => SharedArrayBuffer | undefined;
  readonly events?: PublicationEvents;
  /** What vantages are sent, each sealed to its certificate. */
  readonly secrets?: SecretsOf;
  /** Does a dynamic update that an edge hands on from a client. */
  readonly update: (packet: Uint8Array, client: string, view?: string) => Promise<UpdateAnswer>;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** Where it is kept who was refused. */
  readonly refusals: Pick<RefusalLog, "add">;
  /** Where an edge has sent clients. */
  readonly traffic: (edge: string, counts: TrafficCounts) => void;
  /** What other controls are told of that. */
  readonly drains: () => readonly DrainTally[];
  /** The weights that branches were given, and where the overlay stands. */
  readonly weights: Omit<ServedWeightsOptions, "behind">;
  /** An edge has heard that a secondary zone has changed. */
  readonly notified: (zone: string) => void;
  readonly logger: Logger;
  readonly clock: Clock;
}
