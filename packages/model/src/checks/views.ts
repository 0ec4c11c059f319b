// SPDX-License-Identifier: Apache-2.0
import type { ViewDocument } from "../documents.ts";
import { limits } from "../limits.ts";
import type { ModelIndex } from "../model-index.ts";
import type { Path } from "../problem.ts";
import type { Report } from "../report.ts";
import { plainName } from "./zones.ts";

/** Reports views of which it is not plain which comes first, keys of two views, and more networks than are looked through. */
export function checkViews({ View }: Pick<ModelIndex, "View">, report: Report): void {
  const priorities = new Map<number, ViewDocument>();
  const keys = new Map<string, ViewDocument>();
  let networks = 0;
  for (const view of View.values()) {
    const { priority, tsigKeys = {}, match } = view.spec;
    const first = priorities.get(priority);
    if (first === undefined) priorities.set(priority, view);
    else reportSecond(view, ["spec", "priority"], String(priority), first, report);
    for (const name of Object.keys(tsigKeys)) {
      const owner = keys.get(name.toLowerCase());
      if (owner === undefined) keys.set(name.toLowerCase(), view);
      else reportSecond(view, ["spec", "tsigKeys", name], `the key ${name}`, owner, report);
    }
    networks += match.reduce((sum, { clients = [] }) => sum + clients.length, 0);
    if (networks <= limits.viewNetworksMax) continue;
    report.error(view, {
      code: "value-wrong",
      path: ["spec", "match"],
      found: `${networks} networks with those of other views`,
      said: true,
      wanted: `at most ${limits.viewNetworksMax}`,
    });
  }
}

/**
 * Reports zones of views that are signed as one that is in no view, but could not be sent to others so: they have no keys to sign with, and
 * need a chain that is made ahead.
 */
export function checkSharedDenial({ Zone }: Pick<ModelIndex, "Zone">, report: Report): void {
  const compact = new Set<string>();
  for (const { spec } of Zone.values())
    if (spec.view === undefined && spec.dnssec?.denial === "compact")
      compact.add(plainName(spec.origin));
  if (compact.size === 0) return;
  for (const zone of Zone.values()) {
    const { view, dnssec, transfers, origin } = zone.spec;
    if (view === undefined || dnssec !== undefined || transfers === undefined) continue;
    if (!compact.has(plainName(origin))) continue;
    report.error(zone, {
      code: "value-wrong",
      path: ["spec", "transfers"],
      found: `there, and the zone ${plainName(origin)} by whose keys it is signed denies by compact records`,
      said: true,
      wanted: "nsec or nsec3 there, or dnssec of its own",
    });
  }
}

function reportSecond(
  view: ViewDocument,
  path: Path,
  what: string,
  first: ViewDocument,
  report: Report,
): void {
  const { metadata, source } = first;
  report.error(view, {
    code: "value-wrong",
    path,
    found: `${what}, which View "${metadata.name}" at ${source.file}:${source.line} has`,
    said: true,
    wanted: "another one in each view",
  });
}
