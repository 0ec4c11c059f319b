// SPDX-License-Identifier: Apache-2.0
import { Approvals } from "../approvals/approvals.ts";
import type { Embedded } from "../embedded.ts";
import type { Notifier } from "../notifications/notifier.ts";
import { RolloutKeeper } from "../rollouts/rollout-keeper.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import type { WeightOverrides } from "../weights/weight-overrides.ts";
import type { WeightsReach } from "../weights/weights-reach.ts";
import { silent } from "./control-fixture.ts";

/** Drives the rollouts of a control that is alone. */
export function makeRolloutKeeper(
  embedded: Embedded,
  state: StateDocuments,
  weights: WeightOverrides,
  notifier: Notifier,
  behind: () => Partial<WeightsReach> = () => ({}),
): RolloutKeeper {
  return new RolloutKeeper({
    state,
    weights,
    served: () => {
      const { model, world } = embedded;
      return model === undefined || world === undefined ? undefined : { model, world };
    },
    reach: async () => {
      await weights.look();
      return { waiting: [], silent: [], ...behind() };
    },
    approvals: new Approvals(state, Date.now),
    leading: () => ({}),
    secrets: { folder: "/nonexistent", environment: {} },
    board: notifier.board,
    logger: silent,
    nowMs: Date.now,
  });
}
