// SPDX-License-Identifier: Apache-2.0
import type { DocumentService } from "../documents/document-service.ts";
import type { Embedded } from "../embedded.ts";
import { outsideWork } from "../recovery/outside-steps.ts";
import { ITSELF } from "../recovery/run-measures.ts";
import { RecoveryRuns, type RecoveryRunsOptions } from "../recovery/recovery-runs.ts";
import { ServedTraffic } from "../recovery/served-traffic.ts";
import type { RoutingControls } from "../routing/routing-controls.ts";
import { Secrets } from "../secrets/secrets.ts";
import type { WeightOverrides } from "../weights/weight-overrides.ts";
import { StateDocuments } from "../state/state-documents.ts";
import { silent } from "./control-fixture.ts";

/** What runs of a fixture act on. */
export interface RunPlaces {
  readonly embedded: Embedded;
  readonly documents: DocumentService;
  readonly routing: RoutingControls;
  readonly weights: WeightOverrides;
  readonly folder: string;
}

/** Drives recovery plans of a fixture, which leads unless `more` says otherwise. */
export function makeRecoveryRuns(
  { embedded, documents, routing, weights, folder }: RunPlaces,
  more: Partial<RecoveryRunsOptions> = {},
): RecoveryRuns {
  const secrets = new Secrets(folder, {});
  const traffic = new ServedTraffic(embedded);
  return new RecoveryRuns({
    state: new StateDocuments(documents),
    routing,
    weights,
    shifts: {
      list: () => embedded.shifts(),
      change: (put, ended) => embedded.changeShifts(put, ended),
    },
    traffic,
    work: outsideWork(traffic, secrets, Date.now),
    leading: () => ({}),
    name: "test",
    propagated: async () => {
      await embedded.followShifts("a recovery plan moved traffic");
      await weights.look();
      return new Map([[ITSELF, 0]]);
    },
    expected: () => [],
    logger: silent,
    nowMs: Date.now,
    ...more,
  });
}
