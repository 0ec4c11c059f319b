// SPDX-License-Identifier: Apache-2.0
import { isNamed } from "./rolled-key.ts";
import type { StoredZone } from "./stored-keys.ts";

/** What somebody has to see to. */
export interface ZoneAlert {
  readonly event: "parent-ds" | "expiring-signature";
  readonly summary: string;
}

/** What is wrong, or to be done, with the keys of a zone. */
export function* alertsOf(
  origin: string,
  { keys, removalMs, signing, apexEndsMs }: StoredZone,
  nowMs: number,
): Generator<ZoneAlert> {
  const wanted = keys.find((key) => isNamed(key) && key.dsSeenMs === undefined);
  const event = "parent-ds";
  if (removalMs !== undefined && keys.length > 0)
    yield {
      event,
      summary: `The parent of ${origin} is to have no DS any more, so that its keys can go`,
    };
  else if (wanted !== undefined)
    yield {
      event,
      summary: `The parent of ${origin} is to name key ${wanted.keyTag} in DS; meridian dnssec ds ${origin} prints it`,
    };
  if (keys.length > 0 && apexEndsMs - nowMs < signing.refreshSeconds * 500)
    yield {
      event: "expiring-signature",
      summary: `Signatures of the keys of ${origin} end at ${new Date(apexEndsMs).toISOString()} and could not be made anew`,
    };
}
