// SPDX-License-Identifier: Apache-2.0

// Something that is about to be done, as change policies look at it.

import { createHash } from "node:crypto";
import type { AccessVerb } from "@meridian/model";
import type { AccessTarget } from "../access/caller.ts";
import { canonicalJson } from "../documents/canonical.ts";

const ID_LENGTH = 12;

/** One thing that an act is about. */
export interface ActTarget extends AccessTarget {
  /** What is done to it; a policy that covers one of the verbs covers it. */
  readonly verbs: readonly AccessVerb[];
  /** As it is shown, such as `Record/default/www`. */
  readonly name: string;
}

export interface Act {
  /** As the audit log calls it. */
  readonly verb: string;
  readonly targets: readonly ActTarget[];
  /** Everything that makes it another act where it differs, as JSON. Reasons do not. */
  readonly content: unknown;
  /** What would change, for those who approve; what is long is shown in part. */
  readonly changes?: readonly unknown[];
}

/** How somebody wants it done. */
export interface ActOptions {
  readonly reason?: string | undefined;
  /** Now, without approval and outside of windows: others look at it afterwards. */
  readonly breakGlass?: boolean | undefined;
}

/** SHA-256 in hex: equal for the same act of the same author, and for no other. */
export function actHash({ verb, content }: Act, author: string): string {
  return createHash("sha256")
    .update(canonicalJson([author, verb, content]))
    .digest("hex");
}

/** What people call a request by. Authors choose what is hashed, and can find two acts of one id: only the whole hash says that it is the same. */
export function shortId(hash: string): string {
  return hash.slice(0, ID_LENGTH);
}
