// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { DocumentService } from "../documents/document-service.ts";
import { ServedOrigins } from "../dnssec/served-zones.ts";
import { ZoneKeeper } from "../dnssec/zone-keeper.ts";
import type { Embedded } from "../embedded.ts";
import { RaisedAlerts } from "../notifications/alert.ts";
import { StateDocuments } from "../state/state-documents.ts";

/** The keeper of one control that leads; not started. */
export function makeZoneKeeper(
  embedded: Embedded,
  documents: DocumentService,
  folder: string,
): ZoneKeeper {
  const origins = new ServedOrigins(embedded);
  return new ZoneKeeper({
    state: new StateDocuments(documents),
    keyPlace: join(folder, "sealing.key"),
    served: () => origins.zones(),
    leading: () => ({}),
    onMaterials: () => undefined,
    board: new RaisedAlerts(),
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    nowMs: Date.now,
  });
}
