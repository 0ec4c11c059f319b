// SPDX-License-Identifier: Apache-2.0

/** One change of keys, in a zone of its own. */
export interface RollTurn {
  /** First label of the zone. */
  readonly name: string;
  readonly title: string;
  /** Settings of `dnssec` that are not the same in all zones. */
  readonly before: string;
  /** Those that are set for the turn; undefined where an order rolls the keys. */
  readonly after?: string;
}

export const turns: readonly RollTurn[] = [
  { name: "split", title: "KSK and ZSK", before: "keys: kskZsk" },
  { name: "single", title: "CSK", before: "keys: csk" },
  {
    name: "algorithm",
    title: "ECDSA P-256 to Ed25519",
    before: "algorithm: ecdsaP256",
    after: "algorithm: ed25519",
  },
  { name: "roles", title: "KSK and ZSK to CSK", before: "keys: kskZsk", after: "keys: csk" },
];

/** Zones of all turns, with timings of seconds; those of `changed` have the settings of their turn. */
export function rollDocuments(
  zones: readonly RollTurn[],
  parent: string,
  parentPort: number,
  changed: ReadonlySet<RollTurn>,
): string {
  return zones
    .map((turn) => {
      const { name, before, after } = turn;
      const origin = `${name}.${parent.slice(0, -1)}`;
      return zoneDocuments(
        name,
        origin,
        (changed.has(turn) ? after : undefined) ?? before,
        parentPort,
      );
    })
    .join("---\n");
}

function zoneDocuments(name: string, origin: string, settings: string, parentPort: number): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: ${origin} }
spec:
  origin: ${origin}
  ttl: 2s
  soa: { minimum: 1s }
  nameServers: [{ name: ns.${origin}, addresses: [127.0.0.1] }]
  records:
    - { name: "*.wild", type: A, values: [192.0.2.9] }
    - { name: text, type: TXT, values: ["one"] }
  dnssec:
    ${settings}
    dnskeyTtl: 2s
    maxZoneTtl: 2s
    propagationDelay: 2s
    parentPropagationDelay: 2s
    parentDsTtl: 1s
    signatureValidity: 60s
    refresh: 40s
    parentServers: [{ address: 127.0.0.1, port: ${parentPort} }]
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: ${name} }
spec: { members: { a: { address: 192.0.2.1 }, b: { address: 192.0.2.2 }, c: { address: 192.0.2.3 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www.${origin} }
spec: { name: www.${origin}, pool: ${name}, ttl: { min: 1s, max: 2s } }
`;
}
