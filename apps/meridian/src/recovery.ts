// SPDX-License-Identifier: Apache-2.0

import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@meridian/core";
import {
  ITSELF,
  outsideWork,
  PlanCapacity,
  PlanEvaluations,
  RecoveryRuns,
  RecoveryTriggers,
  Secrets,
  ServedTraffic,
  shiftWrites,
  type AnsweringEdges,
  type ChangeGate,
  type DocumentSet,
  type EdgeGateway,
  type Embedded,
  type Leading,
  type Logger,
  type RoutingControls,
  type StateDocuments,
  type WeightOverrides,
} from "@meridian/control";

/** How often it is looked whether edges have a change. */
const EDGES_MS = 20;

/** What recovery plans act on in a server. */
export interface RecoveryScene {
  readonly embedded: Embedded;
  readonly state: StateDocuments;
  readonly routing: RoutingControls;
  readonly weights: WeightOverrides;
  /** Whether shifts are in a store that several controls share. */
  readonly isShared: boolean;
  readonly leading: () => Leading;
  readonly gateway: () => EdgeGateway | undefined;
  /** Names are answered in this process, and not by edges. */
  readonly answersItself: boolean;
  readonly name: string;
  readonly secretsFolder: string;
  /** What asks change policies before a run begins. */
  readonly gate: ChangeGate;
  readonly logger: Logger;
}

/** The recovery plans of a server: their runs, what begins them, and whether they would work. */
export class Recovery {
  readonly runs: RecoveryRuns;
  readonly #triggers: RecoveryTriggers;
  readonly #evaluations: PlanEvaluations;

  constructor(scene: RecoveryScene) {
    const { embedded, state, routing, weights, isShared, leading, name, gate, logger } = scene;
    const secrets = new Secrets(scene.secretsFolder, process.env);
    const traffic = new ServedTraffic(embedded);
    const documents = (): DocumentSet => state.documents;
    const common = { traffic, secrets, weights, documents, logger, nowMs: Date.now };
    const evaluations = new PlanEvaluations({
      ...common,
      capacity: new PlanCapacity({ ...common, embedded, off: () => routing.off() }),
      served: () => `${embedded.epoch} ${embedded.revision}`,
    });
    this.#evaluations = evaluations;
    this.runs = new RecoveryRuns({
      ...{ state, routing, weights, traffic, leading, name, gate, logger },
      shifts: {
        list: () => embedded.shifts(),
        change: (put, ended) => embedded.changeShifts(put, ended),
        ...(isShared ? { writes: shiftWrites } : {}),
      },
      work: outsideWork(traffic, secrets, Date.now),
      findings: (plan) => evaluations.of(plan),
      propagated: (signal) => propagated(scene, signal),
      expected: () => (scene.answersItself ? [] : scene.gateway()?.edgeNames()),
      nowMs: Date.now,
    });
    this.#triggers = new RecoveryTriggers({
      ...common,
      ...{ runs: this.runs, isLeading: () => leading() !== undefined, clock: systemClock },
    });
  }

  start(): void {
    this.runs.start();
    this.#triggers.start();
    this.#evaluations.start();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#triggers.close(), this.#evaluations.close()]);
    await this.runs.close();
  }
}

/** Resolves when what the store says now is answered here and at the edges that follow this control. */
async function propagated(
  { embedded, weights, gateway, answersItself }: RecoveryScene,
  signal: AbortSignal,
): Promise<AnsweringEdges> {
  await embedded.followShifts("a recovery plan moved traffic");
  await weights.look();
  const { revision, sequence } = embedded;
  if (answersItself) return new Map([[ITSELF, 0]]);
  for (;;) {
    const edges = gateway()?.unmovedMs(revision, sequence);
    if (edges !== undefined) return edges;
    await sleep(EDGES_MS, undefined, { signal });
  }
}
