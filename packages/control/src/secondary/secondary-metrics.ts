// SPDX-License-Identifier: Apache-2.0

// Metrics of secondary zones; of the first zones alone where there are very many.

import type { Metric, Sample } from "@meridian/snapshot/surface";
import type { SecondaryKeeper, SecondaryView } from "./secondary-keeper.ts";

const ZONES_MAX = 1000;

/** What is read. */
export interface SecondaryReading {
  readonly options: { readonly secondaries: SecondaryKeeper };
}

export const secondaryMetrics: readonly Metric<SecondaryReading>[] = [
  {
    name: "meridian_secondary_serial",
    type: "gauge",
    help: "Serial of a zone that comes from another server, as it is here; absent where it never came.",
    labels: ["zone"],
    read: (reading) => samples(reading, ({ serial }) => serial),
  },
  {
    name: "meridian_secondary_expires_seconds",
    type: "gauge",
    help: "Seconds until a secondary zone is no longer answered from, negative from then on; absent where it never came.",
    labels: ["zone"],
    read: (reading) =>
      samples(reading, ({ expiresMs }) =>
        expiresMs === undefined ? undefined : Math.floor((expiresMs - Date.now()) / 1000),
      ),
  },
  {
    name: "meridian_secondary_age_seconds",
    type: "gauge",
    help: "Seconds since a primary of a secondary zone answered last; of the control that leads.",
    labels: ["zone"],
    read: (reading) =>
      samples(reading, ({ refreshedMs }) =>
        refreshedMs === undefined ? undefined : Math.floor((Date.now() - refreshedMs) / 1000),
      ),
  },
  {
    name: "meridian_secondary_failures",
    type: "gauge",
    help: "Times in a row that no primary of a secondary zone could be asked; of the control that leads.",
    labels: ["zone"],
    read: (reading) => samples(reading, ({ failures }) => failures),
  },
];

function samples(
  { options: { secondaries } }: SecondaryReading,
  valueOf: (view: SecondaryView) => number | undefined,
): Sample[] {
  return secondaries
    .views()
    .slice(0, ZONES_MAX)
    .flatMap((view): Sample[] => {
      const value = valueOf(view);
      return value === undefined ? [] : [[[view.zone], value]];
    });
}
