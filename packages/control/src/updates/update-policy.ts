// SPDX-License-Identifier: Apache-2.0

// What the holder of a key may change in a zone, as the zone's document says it.

import { RRType, equalNames, isSubdomain, parseName, rootName, typeFromText } from "@meridian/dns";
import type { DeclaredZone } from "./declared-zone.ts";

type Spec = DeclaredZone["spec"];

/** What Meridian makes itself, in a zone that it signs (RFC 3007 §4.3: it is not for others to say). */
const madeHere: ReadonlySet<number> = new Set([
  RRType.RRSIG,
  RRType.NSEC,
  RRType.NSEC3,
  RRType.NSEC3PARAM,
]);
const madeOfKeys: ReadonlySet<number> = new Set([RRType.DNSKEY, RRType.CDS, RRType.CDNSKEY]);

/** Whether the key of that name may change records of a type at a name. */
export function mayChangeBy(
  { origin, updates, dnssec }: Spec,
  key: string,
): (name: Uint8Array, type: number) => boolean {
  const [apex = rootName] = wireOf(origin);
  const rules = (updates?.allow ?? [])
    .filter((rule) => isSameKey(rule.key, key))
    .map(({ names, below, types }) => ({
      names: names?.flatMap((name) => wireOf(name, apex)),
      below: below?.flatMap((name) => wireOf(name, apex)),
      types: types?.map((type) => typeFromText(type)),
    }));
  return (name, type) => {
    if (type === RRType.SOA || type === RRType.ZONEMD || madeHere.has(type)) return false;
    if (dnssec !== undefined && madeOfKeys.has(type) && equalNames(name, apex)) return false;
    return rules.some(({ names, below, types }) => {
      const isTyped = types === undefined ? type !== RRType.NS : types.includes(type);
      const isNamed =
        (names === undefined && below === undefined) ||
        names?.some((each) => equalNames(each, name)) === true ||
        below?.some((each) => isSubdomain(name, each)) === true;
      return isTyped && isNamed;
    });
  };
}

/** Names of keys are domain names. */
export function isSameKey(one: string, other: string): boolean {
  const [[a], [b]] = [wireOf(one), wireOf(other)];
  return a !== undefined && b !== undefined && equalNames(a, b);
}

/** The name, if it is one. */
function wireOf(text: string, origin?: Uint8Array): Uint8Array[] {
  const name = parseName(
    text === "@" || text.endsWith(".") ? text : relative(text, origin),
    origin,
  );
  return name instanceof Uint8Array ? [name] : [];
}

function relative(text: string, origin: Uint8Array | undefined): string {
  return origin === undefined ? `${text}.` : text;
}
