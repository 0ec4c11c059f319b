// SPDX-License-Identifier: Apache-2.0
// Maps of gdnsd's geoip plug-in: continents hold countries, those subdivisions, each level may have a default, and nets come before all.
import { emptyHash, hashAt, textsOf, type VscfHash, type VscfValue } from "./vscf.ts";
import type { Leads } from "./gdnsd-resources.ts";

interface GeoBranch {
  readonly leads: Leads;
  readonly continents?: readonly string[];
  readonly countries?: readonly string[];
  readonly subdivisions?: readonly string[];
  readonly default?: true;
}

/** Branches by place and by network; a list of datacenters leads where `order` says. */
export function placedBranches(
  map: VscfHash,
  order: (datacenters: readonly string[]) => Leads | undefined,
  skip: (line: number, what: string, why: string) => void,
): {
  readonly geo: readonly GeoBranch[];
  readonly nets: readonly { readonly leads: Leads; readonly prefixes: readonly string[] }[];
} {
  for (const [name, { line }] of map.entries) {
    if (name === "geoip2_db")
      skip(line, name, "Make a DataSet of that file, and name it as `dataSet` of the geo node");
    else if (!["map", "nets", "datacenters"].includes(name))
      skip(line, name, "It has no counterpart");
  }
  const geo: GeoBranch[] = [];
  const add = (value: VscfValue, place: Omit<GeoBranch, "leads">, what: string): void => {
    const leads = order(textsOf(value));
    if (leads === undefined) skip(value.line, what, "It names no datacenter that is mapped");
    else geo.push({ leads, ...place });
  };
  const places = hashAt(map, "map");
  for (const [continent, value] of places.entries) {
    if (continent === "default") continue;
    if (value.kind !== "hash") {
      add(value, { continents: [continent] }, continent);
      continue;
    }
    for (const [country, within] of value.entries) {
      if (country === "default") add(within, { continents: [continent] }, continent);
      else if (within.kind !== "hash") add(within, { countries: [country] }, country);
      else addSubdivisions(country, within, add, skip);
    }
  }
  const all = map.entries.get("datacenters") ?? emptyHash;
  add(places.entries.get("default") ?? all, { default: true }, "default");
  const nets = [...hashAt(map, "nets").entries].flatMap(([prefix, value]) => {
    const leads = order(textsOf(value));
    return leads === undefined ? [] : [{ leads, prefixes: [prefix] }];
  });
  return { geo, nets: joined(nets) };
}

function addSubdivisions(
  country: string,
  hash: VscfHash,
  add: (value: VscfValue, place: Omit<GeoBranch, "leads">, what: string) => void,
  skip: (line: number, what: string, why: string) => void,
): void {
  for (const [subdivision, value] of hash.entries) {
    if (subdivision === "default") add(value, { countries: [country] }, country);
    else if (value.kind === "hash")
      skip(value.line, `${country} ${subdivision}`, "Cities have no counterpart");
    else add(value, { subdivisions: [`${country}-${subdivision}`] }, `${country} ${subdivision}`);
  }
}

/** Networks that lead to one place are one branch. */
function joined(
  nets: readonly { readonly leads: Leads; readonly prefixes: readonly string[] }[],
): { readonly leads: Leads; readonly prefixes: readonly string[] }[] {
  const byLeads = new Map<string, { leads: Leads; prefixes: string[] }>();
  for (const { leads, prefixes } of nets) {
    const key = JSON.stringify(leads);
    const found = byLeads.get(key) ?? { leads, prefixes: [] };
    found.prefixes.push(...prefixes);
    byLeads.set(key, found);
  }
  return [...byLeads.values()];
}
