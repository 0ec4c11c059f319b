// SPDX-License-Identifier: Apache-2.0

// What the doctor asks the name servers of a zone's parent: the delegation, its glue, and the DS.

import {
  DsDigest,
  dsRdata,
  formatName,
  readDs,
  RRType,
  parseName,
  type Message,
} from "@meridian/dns";
import { addressesOf } from "../dns-question.ts";
import type { Asker } from "./asker.ts";
import { nsNames, type DelegatedZone } from "./delegated-zone.ts";
import { finding, type Finding } from "./finding.ts";
import { isKnownAlgorithm, setOf } from "./servers.ts";

/** A parent's word on the zone. */
export interface ParentView {
  readonly findings: readonly Finding[];
  /** DS rdata that it holds. */
  readonly ds: readonly Uint8Array[];
}

export async function examineParent(
  asker: Asker,
  server: string,
  zone: DelegatedZone,
): Promise<ParentView> {
  const subject = `parent ${server}`;
  const base = { server, name: zone.origin };
  const [referral, ds] = await Promise.all([
    asker.ask({ ...base, type: RRType.NS }),
    asker.ask({ ...base, type: RRType.DS }),
  ]);
  if (typeof referral === "string")
    return { findings: [finding("parent-silent", subject, referral)], ds: [] };
  return {
    findings: [
      ...delegationFindings(subject, referral.message, zone),
      ...glueFindings(subject, referral.message, zone),
    ],
    ds: typeof ds === "string" ? [] : setOf(ds.message, RRType.DS).map(({ rdata }) => rdata),
  };
}

function delegationFindings(
  subject: string,
  message: Message,
  { origin, servers }: DelegatedZone,
): Finding[] {
  const found = nsNames(message, origin).toSorted();
  const wanted = servers.map(({ name }) => name).toSorted();
  if (found.length === 0)
    return [
      finding(
        "delegation-missing",
        subject,
        `names no name servers, expected ${wanted.join(", ")}`,
      ),
    ];
  return found.join(" ") === wanted.join(" ")
    ? []
    : [
        finding(
          "delegation-differs",
          subject,
          `names ${found.join(", ")}, expected ${wanted.join(", ")}`,
        ),
      ];
}

function glueFindings(
  subject: string,
  message: Message,
  { origin, servers }: DelegatedZone,
): Finding[] {
  const named = nsNames(message, origin);
  return servers.flatMap(({ name, addresses, needsGlue }) => {
    if (!needsGlue || !named.includes(name)) return [];
    const records = [...message.answer, ...message.additional];
    const glue = addressesOf({
      answer: records.filter(({ owner }) => formatName(owner).toLowerCase() === name),
    });
    if (glue.toSorted().join(" ") === addresses.toSorted().join(" ")) return [];
    const seen = `holds ${glue.join(", ") || "no address"} for ${name}, expected ${addresses.join(", ")}`;
    return [finding("glue-differs", subject, seen)];
  });
}

/** Of an algorithm and a digest that resolvers are sure to know (RFC 8624 §3). */
function isKnownDs(record: Uint8Array): boolean {
  const fields = readDs(record);
  const digests: readonly (number | undefined)[] = Object.values(DsDigest);
  return isKnownAlgorithm(fields?.algorithm) && digests.includes(fields?.digestType);
}

/** Whether the parents' DS lead to the zone's keys. */
export function dsFindings(
  origin: string,
  ds: readonly Uint8Array[],
  keys: readonly Uint8Array[],
): Finding[] {
  const owner = parseName(origin);
  if ("error" in owner) return [];
  if (ds.length === 0)
    return keys.length === 0
      ? []
      : [finding("ds-missing", origin, `has ${keys.length} keys, and no parent has a DS`)];
  const known = ds.filter((record) => isKnownDs(record));
  if (known.length === 0)
    return [
      finding(
        "ds-unknown",
        origin,
        `has DS records of the algorithms ${ds.map((record) => readDs(record)?.algorithm).join(", ")} alone`,
      ),
    ];
  const leads = known.some((record) => {
    const digestType = readDs(record)?.digestType;
    return keys.some((key) => Buffer.compare(dsRdata(owner, key, digestType), record) === 0);
  });
  const tags = known.map((record) => readDs(record)?.keyTag).join(", ");
  return leads
    ? []
    : [
        finding(
          "ds-without-key",
          origin,
          `the DS of key ${tags} matches none of ${keys.length} keys`,
        ),
      ];
}
