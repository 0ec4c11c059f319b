// SPDX-License-Identifier: Apache-2.0
import type { Place } from "@meridian/snapshot";
import { countries } from "./countries.ts";

/** Steps of a degree to which cities are rounded: a tenth, some 11 km, which keeps the number of places down. */
const CITY_STEPS = 10;

/** Codes in registry data that stand for a whole continent. */
const regionContinents: Readonly<Record<string, string>> = { EU: "EU", AP: "AS" };

/** The place of a country code, with the country's estimated middle; nowhere for what is no code. */
export function placeOfCountry(code: string): Place {
  const upper = code.toUpperCase();
  const country = countries.get(upper);
  if (country !== undefined) return { country: upper, ...country };
  const continent = regionContinents[upper];
  if (continent !== undefined) return { continent };
  return /^[A-Z]{2}$/.test(upper) && upper !== "ZZ" ? { country: upper } : {};
}

/**
 * The place that a record of a MaxMind DB says: the flat schema (`country_code`), MaxMind's country and city schema (`country`,
 * `registered_country`, `continent`, `subdivisions`, `location`) or an ASN schema (`autonomous_system_number`).
 */
export function placeOfRecord(record: unknown): Place {
  const asn = member(record, "autonomous_system_number");
  if (typeof asn === "number") return { asn };
  const flat = member(record, "country_code");
  if (typeof flat === "string") return { ...placeOfCountry(flat), ...flatCity(record, flat) };
  const code =
    member(member(record, "country"), "iso_code") ??
    member(member(record, "registered_country"), "iso_code");
  const continent = member(member(record, "continent"), "code");
  const place: Place = typeof code === "string" ? placeOfCountry(code) : {};
  return {
    ...place,
    ...(isCode(continent) && { continent }),
    ...(typeof code === "string" && subdivisionOf(record, code)),
    ...coordinatesOf(member(record, "location")),
  };
}

function subdivisionOf(record: unknown, country: string): Place {
  const list = member(record, "subdivisions");
  const code: unknown = Array.isArray(list) ? member(list[0], "iso_code") : undefined;
  return typeof code === "string" && code !== "" ? { subdivision: `${country}-${code}` } : {};
}

function flatCity(record: unknown, country: string): Place {
  const state = member(record, "state_code");
  return {
    ...(typeof state === "string" && state !== "" && { subdivision: `${country}-${state}` }),
    ...coordinatesOf(record),
  };
}

function coordinatesOf(location: unknown): Place {
  const latitude = member(location, "latitude");
  const longitude = member(location, "longitude");
  if (typeof latitude !== "number" || typeof longitude !== "number") return {};
  return { latitude: rounded(latitude), longitude: rounded(longitude) };
}

function rounded(degrees: number): number {
  return Math.round(degrees * CITY_STEPS) / CITY_STEPS;
}

function isCode(value: unknown): value is string {
  return typeof value === "string" && /^[A-Z]{2}$/.test(value);
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
