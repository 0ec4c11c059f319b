// SPDX-License-Identifier: Apache-2.0
import type { DocumentService } from "../documents/document-service.ts";
import type { Embedded } from "../embedded.ts";
import { Notifier } from "../notifications/notifier.ts";
import type { TransitionHistory } from "@meridian/health";
import { silent } from "./control-fixture.ts";

/** A notifier that looks when it is told to. */
export function makeNotifier(
  embedded: Embedded,
  documents: DocumentService,
  transitions: TransitionHistory,
  stateFolder: string,
): Notifier {
  return new Notifier({
    embedded,
    documents: () => documents.documents,
    transitions,
    fleet: () => Promise.resolve({ edges: [], expiries: [] }),
    stateFolder,
    logger: silent,
    nowMs: Date.now,
    environment: {},
  });
}
