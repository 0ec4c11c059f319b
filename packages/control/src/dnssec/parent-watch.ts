// SPDX-License-Identifier: Apache-2.0

// Asks the parents of signed zones for DS records, as often as something depends on it, and keeps what they said until it is looked at.

import { dsRdata, readDs } from "@meridian/dns";
import { askForDs } from "./parent-ds.ts";
import type { ParentView } from "./roll-over.ts";
import { isEntry, isNamed } from "./rolled-key.ts";
import { dnskeyOf, type StoredKey, type StoredZone } from "./stored-keys.ts";
import { apexOf } from "./zone-apex.ts";

/** How often a parent that is to change is asked, and one that is not. */
const ASK_MS_MIN = 1000;
const ASK_MS_MAX = 60_000;
const LOOK_MS_MAX = 3_600_000;
/** Parents that are asked at once. */
const ASKED_MAX = 64;

interface AskedParent {
  atMs: number;
  isAsking: boolean;
  /** Not looked at yet. */
  view: ParentView | undefined;
  /** Whether it was understood when it was last asked; undefined before. */
  isHeard: boolean | undefined;
}

export class ParentWatch {
  readonly #parents = new Map<string, AskedParent>();
  readonly #onHeard: () => void;

  /** `onHeard` is called when a parent was asked, whatever it said. */
  constructor(onHeard: () => void) {
    this.#onHeard = onHeard;
  }

  /** Whether the parent of a zone was understood when it was last asked; undefined where it was not asked. */
  isHeard(origin: string): boolean | undefined {
    return this.#parents.get(origin)?.isHeard;
  }

  /** What the parent said since it was last looked at: each answer counts for one step. */
  take(origin: string): ParentView | undefined {
    const asked = this.#parents.get(origin);
    const view = asked?.view;
    if (asked !== undefined) asked.view = undefined;
    return view;
  }

  /** Asks, where that is of use and time. */
  ask(origin: string, { keys, removalMs, signing }: StoredZone, nowMs: number): void {
    const isNeeded = removalMs !== undefined || keys.some(({ dsWantedMs }) => dsWantedMs);
    if (!isNeeded) return;
    const asked = this.#parents.get(origin) ?? {
      ...{ atMs: -Infinity, isAsking: false, view: undefined, isHeard: undefined },
    };
    const { parentPropagationMs } = signing.timing;
    const soonMs = Math.min(ASK_MS_MAX, Math.max(ASK_MS_MIN, parentPropagationMs / 4));
    const isWaiting =
      removalMs !== undefined ||
      keys.some((key) => key.dsUnwantedMs !== undefined || (isNamed(key) && !key.dsSeenMs));
    const pauseMs = isWaiting ? soonMs : Math.min(LOOK_MS_MAX, 10 * soonMs);
    const count = [...this.#parents.values()].filter(({ isAsking }) => isAsking).length;
    if (asked.isAsking || nowMs - asked.atMs < pauseMs || count >= ASKED_MAX) return;
    this.#parents.set(origin, asked);
    asked.atMs = nowMs;
    asked.isAsking = true;
    void askForDs(apexOf(origin), signing.parentServers).then((heard) => {
      asked.isAsking = false;
      asked.isHeard = heard !== undefined;
      asked.view = heard === undefined ? undefined : viewOf(origin, keys, heard);
      this.#onHeard();
    });
  }
}

/** The keys that servers name: a digest of a kind that is not known here counts for no key. */
function viewOf(
  origin: string,
  keys: readonly StoredKey[],
  heard: readonly (readonly Uint8Array[])[],
): ParentView {
  const apex = apexOf(origin);
  const isIn = (key: StoredKey, named: readonly Uint8Array[]): boolean =>
    named.some((ds) => {
      const wanted = dsRdata(apex, dnskeyOf(key), readDs(ds)?.digestType);
      return Buffer.compare(wanted, ds) === 0;
    });
  const tags = (wanted: (key: StoredKey) => boolean): ReadonlySet<number> =>
    new Set(keys.filter((key) => isEntry(key) && wanted(key)).map(({ keyTag }) => keyTag));
  return {
    everywhere: tags((key) => heard.every((named) => isIn(key, named))),
    somewhere: tags((key) => heard.some((named) => isIn(key, named))),
  };
}
