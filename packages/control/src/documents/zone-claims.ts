// SPDX-License-Identifier: Apache-2.0

// A namespace is a tenant: the names of its zones are its own. A zone below (or above) another namespace's zone takes names of it.

import type { Model } from "@meridian/model";

/** A zone that lies within a zone of another namespace. */
export interface ZoneClaim {
  /** Origin of the zone inside. */
  readonly origin: string;
  readonly namespace: string;
  /** Origin of the zone it lies in. */
  readonly within: string;
  readonly withinNamespace: string;
}

/** The nearest other-namespace zone around each zone. */
export function zoneClaims(model: Model): ZoneClaim[] {
  return [...model.zones.values()].flatMap((zone) => {
    const { namespace } = zone.document.metadata;
    for (let at = parentOf(zone.origin); at !== undefined; at = parentOf(at)) {
      const around = model.zones.get(at);
      if (around === undefined) continue;
      const withinNamespace = around.document.metadata.namespace;
      if (withinNamespace !== namespace)
        return [{ origin: zone.origin, namespace, within: around.origin, withinNamespace }];
    }
    return [];
  });
}

function parentOf(name: string): string | undefined {
  const dot = name.indexOf(".");
  return dot < 0 ? undefined : name.slice(dot + 1);
}
