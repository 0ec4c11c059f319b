// SPDX-License-Identifier: Apache-2.0
import type { DocumentService } from "../documents/document-service.ts";
import type { Embedded } from "../embedded.ts";
import { RaisedAlerts } from "../notifications/alert.ts";
import { SecondaryKeeper } from "../secondary/secondary-keeper.ts";
import { StateDocuments } from "../state/state-documents.ts";

/** The keeper of one control that leads; not started. */
export function makeSecondaryKeeper(
  embedded: Embedded,
  documents: DocumentService,
): SecondaryKeeper {
  return new SecondaryKeeper({
    state: new StateDocuments(documents),
    apply: (writes, lease) => documents.applyState(writes, "secondary", lease),
    zones: () => embedded.model?.secondaryZones,
    secrets: () => embedded.secretsOf("edge"),
    board: new RaisedAlerts(),
    leading: () => ({}),
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    nowMs: Date.now,
  });
}
