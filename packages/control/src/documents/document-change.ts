// SPDX-License-Identifier: Apache-2.0

// A change of documents as it is asked for, and what it did.

import { createHash, randomUUID } from "node:crypto";
import type { VersionedLoad } from "../adopted-model.ts";
import type { Caller } from "../access/caller.ts";
import type { PublishMode } from "../embedded-options.ts";
import { textHash, type ChangeKind, type Owner, type Plan } from "./change-plan.ts";
import { formatKey } from "./document-key.ts";
import type { DocumentProblem } from "./document-problem.ts";
import type { DocumentSet } from "./document-set.ts";

/** How a change is made. */
export interface ChangeOptions {
  readonly caller: Caller;
  readonly owner?: Owner;
  /** Why, in the words of who does it. */
  readonly reason?: string;
  readonly isDryRun?: boolean;
  /** A dry run for who may only look at differences. */
  readonly isDiff?: boolean;
  /** A change set with this id is committed once, however often it is sent. */
  readonly id?: string;
  /** How it goes to edges. */
  readonly publish?: PublishMode;
  /** It may leave much less than is served. */
  readonly allowShrink?: boolean;
  /** Control does it by itself: no policy of changes holds it up. */
  readonly isOwn?: boolean;
  /** Now, whatever change policies say; others look at it afterwards. */
  readonly breakGlass?: boolean;
  /** Told what would be served, of a dry run that changes something that is compiled. */
  readonly onTrial?: (trial: VersionedLoad) => void;
  /** On behalf of whom, in the caller's own words. */
  readonly actor?: string;
}

/** What a change did, or would do. */
export interface Applied {
  /** Revision that holds it; that of now where nothing changed. */
  readonly revision: number;
  /** Snapshot that holds it; publication has revisions of its own. */
  readonly snapshot: number;
  readonly dryRun: boolean;
  readonly changes: readonly {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly change: ChangeKind;
  }[];
  readonly warnings: readonly DocumentProblem[];
}

/** The id of a change set: two callers may choose the same words. */
export function ownId({ caller, id }: Pick<ChangeOptions, "caller" | "id">): string {
  if (id === undefined) return randomUUID();
  return createHash("sha256").update(`${caller.subject}\n${id}`).digest("base64url");
}

/** What the history says of a change: who made it, why, and what was there before. */
export function causeOf(
  verb: string,
  options: ChangeOptions,
  plan: Plan,
  set: DocumentSet,
): string {
  const { caller, reason, actor, allowShrink, breakGlass } = options;
  const before = plan.writes.flatMap(({ key }) => {
    const found = set.get(key);
    return found === undefined
      ? []
      : [[formatKey(key), { revision: found.revision, sha256: textHash(found.text) }] as const];
  });
  const cause = {
    verb,
    who: {
      subject: caller.subject,
      ...(caller.token === undefined ? {} : { token: caller.token }),
      ...(caller.address === "" ? {} : { address: caller.address }),
      ...(actor === undefined ? {} : { actor }),
    },
    ...(reason === undefined ? {} : { reason }),
    ...(allowShrink === true ? { allowShrink } : {}),
    ...(breakGlass === true ? { breakGlass } : {}),
    before: Object.fromEntries(before),
  };
  return JSON.stringify(cause);
}
