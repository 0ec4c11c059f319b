// SPDX-License-Identifier: Apache-2.0

// What `meridian doctor` can find. A code never changes its meaning; what to do is said with each.

export type Severity = "error" | "warning" | "notice";

/** What each code means, for docs/reference/doctor.md, too. */
export const findingKinds = {
  "parent-unknown": {
    severity: "error",
    advice:
      "Give a name server of the parent with --parent; where there is none, have the parent zone delegated first",
  },
  "parent-silent": {
    severity: "error",
    advice: "Ask whoever runs the parent, or see whether a firewall keeps UDP port 53 from here",
  },
  "delegation-missing": {
    severity: "error",
    advice: "Put the NS records that `meridian delegation` prints into the parent zone",
  },
  "delegation-differs": {
    severity: "error",
    advice:
      "Make the NS records in the parent those of the zone; `meridian delegation` prints them",
  },
  "glue-differs": {
    severity: "error",
    advice: "Make the addresses in the parent those that the zone has for its name servers",
  },
  "ds-missing": {
    severity: "warning",
    advice:
      "Put the DS record of the zone's key into the parent; until then nobody validates the zone",
  },
  "ds-without-key": {
    severity: "error",
    advice:
      "Take the DS record out of the parent, or bring its key back: validating resolvers refuse the zone",
  },
  "ds-unknown": {
    severity: "warning",
    advice:
      "Put a DS of algorithm 8, 13 or 15 with digest 2 or 4 into the parent: of others resolvers may take the zone for unsigned, or for bogus (RFC 4035 §5.2)",
  },
  "server-unresolved": {
    severity: "error",
    advice: "Give the name server an address, or take its NS record out of zone and parent",
  },
  "server-single": {
    severity: "warning",
    advice: "Have two name servers at least, in different networks (RFC 2182 §5)",
  },
  "server-silent": {
    severity: "error",
    advice:
      "See that the server runs, listens on that address, and that UDP port 53 is let through",
  },
  "server-lame": {
    severity: "error",
    advice: "Have that server serve the zone, or take it out of the NS records of zone and parent",
  },
  "tcp-silent": {
    severity: "error",
    advice: "Let TCP port 53 through: answers that are cut off, and transfers, need it (RFC 7766)",
  },
  "edns-missing": {
    severity: "warning",
    advice:
      "Look for a middlebox that strips EDNS: without it there is no DNSSEC and no client subnet",
  },
  "edns-version": {
    severity: "warning",
    advice:
      "An unknown version of EDNS has to be answered BADVERS (RFC 6891 §6.1.3); look for a middlebox",
  },
  "answer-too-large": {
    severity: "warning",
    advice:
      "Answers over UDP should stay below 1232 bytes, else they are fragmented and lost (RFC 9715)",
  },
  "ecs-wrong": {
    severity: "error",
    advice:
      "Family, source length and address have to come back as they were sent, else resolvers drop the answer (RFC 7871 §7.2.1)",
  },
  "ecs-ignored": {
    severity: "notice",
    advice:
      "Answers do not depend on the client's subnet there; clientLocation and ecsTrust of the Zone decide that",
  },
  "ns-differs": {
    severity: "error",
    advice: "Have all servers serve the same revision of the zone",
  },
  "serial-differs": {
    severity: "warning",
    advice:
      "Wait for the transfer or revision to arrive; see `meridian get edges`, or the secondary's log",
  },
  "keys-differ": {
    severity: "error",
    advice:
      "Have all servers publish the same DNSKEY records before any of them signs with a new key (RFC 6781 §4.1)",
  },
  "signature-missing": {
    severity: "error",
    advice:
      "The zone has keys and this server no signature: give it the signing material, or take the DS out of the parent",
  },
  "signature-wrong": {
    severity: "error",
    advice:
      "No key of the zone made that signature: validating resolvers refuse the zone from this server",
  },
  "signature-expired": {
    severity: "error",
    advice: "Sign the zone again at once, and see why that server stopped doing so",
  },
  "signature-expires": {
    severity: "warning",
    advice:
      "Signatures should have been made anew by now; see that the server still gets what it signs with",
  },
  "clock-skew": {
    severity: "error",
    advice:
      "Set that server's clock, and keep it with NTP: signatures, TSIG and cookies depend on it",
  },
  "edge-behind": {
    severity: "warning",
    advice: "See the edge's log and `meridian get edges`: it answers from an older revision",
  },
  "resolver-silent": {
    severity: "error",
    advice: "Name a resolver that answers with --resolver",
  },
  "resolver-fails": {
    severity: "error",
    advice:
      "Look at the findings about parents and servers first; a resolver fails for what they say",
  },
  "validation-fails": {
    severity: "error",
    advice:
      "Without validation it is answered: compare DS, DNSKEY and the servers' clocks; take the DS out if in doubt",
  },
  "validation-missing": {
    severity: "notice",
    advice: "The zone has a DS and this resolver does not validate: name another with --resolver",
  },
  "budget-exceeded": {
    severity: "warning",
    advice: "Shorten interval, thresholds or timeout of the check, or ttl.max of the Record",
  },
  "ttl-over-budget": {
    severity: "error",
    advice:
      "Clients keep that answer for longer than the Record's ttl.max: see what answers in its place",
  },
} as const;

export type FindingCode = keyof typeof findingKinds;

/** One thing that is not as it should be. */
export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  /** Whom it is about: a server, a name. */
  readonly subject: string;
  readonly seen: string;
  readonly advice: string;
}

/** A finding with what its code says. */
export function finding(code: FindingCode, subject: string, seen: string): Finding {
  return { ...findingKinds[code], code, subject, seen };
}
