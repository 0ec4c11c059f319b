// SPDX-License-Identifier: Apache-2.0
//
// What the rdata of each known type consists of: a list of parts, one a field of presentation
// form, read by one interpreter (rdata.ts) in both directions. A record type is added by adding a
// line here, a row to the examples in rdata.test.ts, and its number in constants.ts.

import { RRType } from "./constants.ts";

/** How one part of rdata is written; kinds ending in `Rest` take all fields that are left. */
export type PartKind =
  | "u8"
  | "u16"
  | "u32"
  | "ttl"
  | "time"
  | "type"
  | "ipv4"
  | "ipv6"
  | "name"
  | "string"
  | "stringsRest"
  | "tag"
  | "textRest"
  | "hexRest"
  | "base64Rest"
  | "salt"
  | "hash32"
  | "typesRest"
  | "paramsRest";

/** One part: what messages call it, and its kind. */
export type Part = readonly [name: string, kind: PartKind];

const keyParts: readonly Part[] = [
  ["flags", "u16"],
  ["protocol", "u8"],
  ["algorithm", "u8"],
  ["public key", "base64Rest"],
];
const digestParts: readonly Part[] = [
  ["key tag", "u16"],
  ["algorithm", "u8"],
  ["digest type", "u8"],
  ["digest", "hexRest"],
];
const certificateParts: readonly Part[] = [
  ["usage", "u8"],
  ["selector", "u8"],
  ["matching type", "u8"],
  ["certificate data", "hexRest"],
];
const serviceParts: readonly Part[] = [
  ["priority", "u16"],
  ["target", "name"],
  ["parameters", "paramsRest"],
];
const signatureParts: readonly Part[] = [
  ["type covered", "type"],
  ["algorithm", "u8"],
  ["labels", "u8"],
  ["original TTL", "ttl"],
  ["expiration", "time"],
  ["inception", "time"],
  ["key tag", "u16"],
  ["signer", "name"],
  ["signature", "base64Rest"],
];

const layouts: ReadonlyMap<number, readonly Part[]> = new Map<number, readonly Part[]>([
  [RRType.A, [["address", "ipv4"]]],
  [RRType.AAAA, [["address", "ipv6"]]],
  [RRType.NS, [["name server", "name"]]],
  [RRType.CNAME, [["target", "name"]]],
  [RRType.DNAME, [["target", "name"]]],
  [RRType.PTR, [["target", "name"]]],
  [
    RRType.SOA,
    [
      ["primary server", "name"],
      ["mailbox", "name"],
      ["serial", "u32"],
      ["refresh", "ttl"],
      ["retry", "ttl"],
      ["expire", "ttl"],
      ["minimum", "ttl"],
    ],
  ],
  [
    RRType.MX,
    [
      ["preference", "u16"],
      ["exchange", "name"],
    ],
  ],
  [RRType.TXT, [["text", "stringsRest"]]],
  [RRType.SPF, [["text", "stringsRest"]]],
  [
    RRType.HINFO,
    [
      ["cpu", "string"],
      ["system", "string"],
    ],
  ],
  [
    RRType.RP,
    [
      ["mailbox", "name"],
      ["text name", "name"],
    ],
  ],
  [
    RRType.AFSDB,
    [
      ["subtype", "u16"],
      ["host", "name"],
    ],
  ],
  [
    RRType.SRV,
    [
      ["priority", "u16"],
      ["weight", "u16"],
      ["port", "u16"],
      ["target", "name"],
    ],
  ],
  [
    RRType.NAPTR,
    [
      ["order", "u16"],
      ["preference", "u16"],
      ["flags", "string"],
      ["services", "string"],
      ["regular expression", "string"],
      ["replacement", "name"],
    ],
  ],
  [
    RRType.CAA,
    [
      ["flags", "u8"],
      ["tag", "tag"],
      ["value", "textRest"],
    ],
  ],
  [
    RRType.URI,
    [
      ["priority", "u16"],
      ["weight", "u16"],
      ["target", "textRest"],
    ],
  ],
  [RRType.SVCB, serviceParts],
  [RRType.HTTPS, serviceParts],
  [RRType.DS, digestParts],
  [RRType.CDS, digestParts],
  [RRType.DNSKEY, keyParts],
  [RRType.CDNSKEY, keyParts],
  [RRType.TLSA, certificateParts],
  [RRType.SMIMEA, certificateParts],
  [
    RRType.SSHFP,
    [
      ["algorithm", "u8"],
      ["fingerprint type", "u8"],
      ["fingerprint", "hexRest"],
    ],
  ],
  [RRType.OPENPGPKEY, [["key", "base64Rest"]]],
  [RRType.RRSIG, signatureParts],
  [
    RRType.NSEC,
    [
      ["next name", "name"],
      ["types", "typesRest"],
    ],
  ],
  [
    RRType.NSEC3,
    [
      ["hash algorithm", "u8"],
      ["flags", "u8"],
      ["iterations", "u16"],
      ["salt", "salt"],
      ["next hash", "hash32"],
      ["types", "typesRest"],
    ],
  ],
  [
    RRType.NSEC3PARAM,
    [
      ["hash algorithm", "u8"],
      ["flags", "u8"],
      ["iterations", "u16"],
      ["salt", "salt"],
    ],
  ],
  [
    RRType.ZONEMD,
    [
      ["serial", "u32"],
      ["scheme", "u8"],
      ["hash algorithm", "u8"],
      ["digest", "hexRest"],
    ],
  ],
]);

/** Parts of a type's rdata in order; undefined for types known by number only. */
export function rdataParts(type: number): readonly Part[] | undefined {
  return layouts.get(type);
}

/** Where names lie in rdata: after `prefixBytes` fixed bytes come `nameCount` names in a row. */
export interface RdataNames {
  readonly prefixBytes: number;
  readonly nameCount: number;
}

const oneName: RdataNames = { prefixBytes: 0, nameCount: 1 };
const soaNames: RdataNames = { prefixBytes: 0, nameCount: 2 };
const mxNames: RdataNames = { prefixBytes: 2, nameCount: 1 };
const srvNames: RdataNames = { prefixBytes: 6, nameCount: 1 };

/**
 * Where the rdata of a type holds names that a sender may compress (RFC 3597 §4: only types of
 * RFC 1035), or `"none"`. The second name of SOA starts where the first one ends.
 */
export function rdataNames(type: number): "none" | RdataNames {
  switch (type) {
    case RRType.NS:
    case RRType.CNAME:
    case RRType.PTR:
      return oneName;
    case RRType.SOA:
      return soaNames;
    case RRType.MX:
      return mxNames;
    default:
      return "none";
  }
}

/**
 * As rdataNames, with the types whose names must not be compressed by a sender but should be
 * understood by a receiver (RFC 3597 §4, RFC 6672 §2.5).
 */
export function receivedRdataNames(type: number): "none" | RdataNames {
  switch (type) {
    case RRType.DNAME:
      return oneName;
    case RRType.RP:
      return soaNames;
    case RRType.AFSDB:
      return mxNames;
    case RRType.SRV:
      return srvNames;
    default:
      return rdataNames(type);
  }
}
