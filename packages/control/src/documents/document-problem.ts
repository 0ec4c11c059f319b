// SPDX-License-Identifier: Apache-2.0

import type { Problem } from "@meridian/model";

/** Something wrong with a document that came by the API, or with a file that its change would break. */
export interface DocumentProblem {
  readonly severity: Problem["severity"];
  readonly code: string;
  /** `KIND/NAMESPACE/NAME`, or `FILE:LINE` of a document in a file. */
  readonly document: string;
  /** As in `spec.members.eu.address`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  readonly suggestion?: string;
}
