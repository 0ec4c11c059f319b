// SPDX-License-Identifier: Apache-2.0
import { SIGNED_SECONDS_MIN } from "@meridian/model";
import { isNamed } from "./rolled-key.ts";
import type { StoredZone } from "./stored-keys.ts";

/** What somebody has to see to. */
export interface ZoneAlert {
  readonly event: "parent-ds" | "expiring-signature";
  readonly summary: string;
}

/** What is wrong with a zone that is signed elsewhere. */
export function presignedAlert(
  zone: string,
  signedUntilSeconds: number,
  nowMs: number,
): ZoneAlert | undefined {
  const leftSeconds = signedUntilSeconds - nowMs / 1000;
  if (leftSeconds >= SIGNED_SECONDS_MIN) return undefined;
  const when = new Date(signedUntilSeconds * 1000).toISOString();
  const verb = leftSeconds <= 0 ? "have ended" : "end";
  const summary = `Signatures of ${zone}, which is signed elsewhere, ${verb} at ${when}: sign it anew`;
  return { event: "expiring-signature", summary };
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
