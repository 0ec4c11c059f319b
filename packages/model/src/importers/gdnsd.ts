// SPDX-License-Identifier: Apache-2.0
// A gdnsd set-up: service types become HealthChecks, resources of plug-ins Pools and nodes of TrafficPolicies, DYNA and DYNC Records.
//
//   multifo    Pool of which all healthy members are answered       weighted   Pool, or a weighted node where members are in groups
//   simplefo   failover of two tiers                                 metafo     failover in the order of the datacenters
//   geoip      subnet (nets), then geo (map); each list of datacenters is a failover
import { join } from "node:path";
import type { ReadFile } from "../zone-data.ts";
import { addChecks } from "./gdnsd-checks.ts";
import { GdnsdResources } from "./gdnsd-resources.ts";
import { ownerText, readGdnsdZone, type BoundOwner } from "./gdnsd-zones.ts";
import { type Imported, ImportReport } from "./imported.ts";
import { hashAt, readVscf } from "./vscf.ts";
import { addZone } from "./zone-document.ts";

/** Names of the files in a folder. */
export type ListFolder = (path: string) => readonly string[];

/** Reads the folder of a gdnsd: `config`, and the files in `zones`. */
export function importGdnsd(folder: string, readFile: ReadFile, listFolder: ListFolder): Imported {
  const report = new ImportReport();
  const file = join(folder, "config");
  const bytes = readFile(file);
  const config =
    bytes === undefined
      ? `Cannot read ${file}: expected a file`
      : readVscf(new TextDecoder().decode(bytes), file);
  if (typeof config === "string") {
    report.mistakes.push(config);
    return report;
  }
  for (const [name, { line }] of config.entries) {
    if (!["service_types", "plugins"].includes(name))
      report.skip(file, line, name, "It is the server's own, not a zone's");
  }
  const checks = addChecks(hashAt(config, "service_types"), file, report);
  const resources = new GdnsdResources(hashAt(config, "plugins"), file, checks, report);
  for (const name of listFolder(join(folder, "zones"))) {
    const path = join(folder, "zones", name);
    const zone = readGdnsdZone(path, name, readFile);
    report.mistakes.push(...zone.mistakes);
    addZone(zone.origin, zone.records, report);
    for (const bound of zone.bound) addRecord(bound, resources, report);
  }
  return report;
}

function addRecord(bound: BoundOwner, resources: GdnsdResources, report: ImportReport): void {
  const { owner, type, target, ttlMax, ttlMin = Math.floor(ttlMax / 2), file, line } = bound;
  const leads = resources.target(target);
  const name = ownerText(owner);
  if (leads === undefined)
    return report.skip(file, line, `${name} ${type} ${target}`, "Its resource is not mapped");
  report.document("Record", name, {
    name,
    types: type === "DYNC" ? ["CNAME"] : ["A", "AAAA"],
    ...leads,
    ttl: { min: `${ttlMin}s`, max: `${ttlMax}s` },
  });
}
