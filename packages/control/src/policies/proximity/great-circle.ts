// SPDX-License-Identifier: Apache-2.0

/** Mean radius of the Earth, in km. */
export const EARTH_RADIUS_KM = 6371.009;

/** A point in degrees. */
export interface Coordinates {
  readonly latitude: number;
  readonly longitude: number;
}

/** How a bias acts on a distance (see `biasedKm`). */
export type BiasFormula = "pair" | "single";

/** Great-circle distance on a sphere, in km (haversine formula, which stays exact for near points). */
export function distanceKm(from: Coordinates, to: Coordinates): number {
  const fromLatitude = radians(from.latitude);
  const toLatitude = radians(to.latitude);
  const north = Math.sin((toLatitude - fromLatitude) / 2);
  const east = Math.sin(radians(to.longitude - from.longitude) / 2);
  const chord = north * north + Math.cos(fromLatitude) * Math.cos(toLatitude) * east * east;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/**
 * A distance as a bias of −99 to 99 makes it. `pair` (Route 53's older text): above 0 `km × (1 − bias/100)`, below 0
 * `km / (1 + bias/100)`, so that −50 doubles it; `single` (its newer page): the first one always.
 */
export function biasedKm(km: number, bias: number, formula: BiasFormula): number {
  return bias < 0 && formula === "pair" ? km / (1 + bias / 100) : km * (1 - bias / 100);
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
