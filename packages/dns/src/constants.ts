// SPDX-License-Identifier: Apache-2.0
//
// The numbers of the DNS protocol, named. Values come from the IANA "Domain Name System
// Parameters" registries; what Meridian never names is left out and still travels by number.

/** Resource record types. A type without a name here is written `TYPEnnn` (RFC 3597 §5). */
export const RRType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  SIG: 24,
  KEY: 25,
  AAAA: 28,
  LOC: 29,
  NXT: 30,
  SRV: 33,
  NAPTR: 35,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  EUI48: 108,
  EUI64: 109,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
} as const;

/** Classes. Meridian serves IN, and CH for `id.server` and `version.bind`. */
export const RRClass = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** Header operation codes (RFC 1035 §4.1.1, RFC 1996, RFC 2136, RFC 8490). */
export const Opcode = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const;

/** Response codes; those above 15 need EDNS for their upper eight bits (RFC 6891 §6.1.3). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  DSOTYPENI: 11,
  BADVERS: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADMODE: 19,
  BADNAME: 20,
  BADALG: 21,
  BADTRUNC: 22,
  BADCOOKIE: 23,
} as const;

/** EDNS(0) option codes. */
export const EdnsOptionCode = {
  NSID: 3,
  CLIENT_SUBNET: 8,
  EXPIRE: 9,
  COOKIE: 10,
  TCP_KEEPALIVE: 11,
  PADDING: 12,
  CHAIN: 13,
  KEY_TAG: 14,
  EXTENDED_ERROR: 15,
  REPORT_CHANNEL: 18,
  ZONEVERSION: 19,
} as const;

/** Extended DNS error codes (RFC 8914 §4, and later registrations up to 30). */
export const ExtendedError = {
  OTHER: 0,
  UNSUPPORTED_DNSKEY_ALGORITHM: 1,
  UNSUPPORTED_DS_DIGEST_TYPE: 2,
  STALE_ANSWER: 3,
  FORGED_ANSWER: 4,
  DNSSEC_INDETERMINATE: 5,
  DNSSEC_BOGUS: 6,
  SIGNATURE_EXPIRED: 7,
  SIGNATURE_NOT_YET_VALID: 8,
  DNSKEY_MISSING: 9,
  RRSIGS_MISSING: 10,
  NO_ZONE_KEY_BIT_SET: 11,
  NSEC_MISSING: 12,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  CENSORED: 16,
  FILTERED: 17,
  PROHIBITED: 18,
  STALE_NXDOMAIN_ANSWER: 19,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  INVALID_DATA: 24,
  SIGNATURE_EXPIRED_BEFORE_VALID: 25,
  TOO_EARLY: 26,
  UNSUPPORTED_NSEC3_ITERATIONS: 27,
  UNABLE_TO_CONFORM_TO_POLICY: 28,
  SYNTHESIZED: 29,
  INVALID_QUERY_TYPE: 30,
} as const;

/** Bounds of names, messages and UDP payloads (RFC 1035 §2.3.4, RFC 6891 §6.2.5). */
export const DnsLimits = {
  labelBytesMax: 63,
  nameBytesMax: 255,
  labelsMax: 127,
  rdataBytesMax: 65_535,
  messageBytesMax: 65_535,
  headerBytes: 12,
  udpBytesWithoutEdns: 512,
  udpBytesMax: 1232,
  ttlSecondsMax: 2_147_483_647,
} as const;

const typeNames: ReadonlyMap<number, string> = namesByNumber(RRType);
const typeNumbers: ReadonlyMap<string, number> = new Map(Object.entries(RRType));
const classNames: ReadonlyMap<number, string> = namesByNumber(RRClass);
const classNumbers: ReadonlyMap<string, number> = new Map(Object.entries(RRClass));
const rcodeNames: ReadonlyMap<number, string> = namesByNumber(Rcode);
const opcodeNames: ReadonlyMap<number, string> = namesByNumber(Opcode);
const extendedErrorNames: ReadonlyMap<number, string> = namesByNumber(ExtendedError);

/** Number of a type written as `MX`, `mx` or `TYPE15`; undefined when it is none of these. */
export function typeFromText(text: string): number | undefined {
  const upper = text.toUpperCase();
  return typeNumbers.get(upper) ?? numberAfter("TYPE", upper);
}

/** Mnemonic of a type, or `TYPEnnn` where there is none. */
export function typeToText(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** Number of a class written as `IN`, `in` or `CLASS1`; undefined when it is none of these. */
export function classFromText(text: string): number | undefined {
  const upper = text.toUpperCase();
  return classNumbers.get(upper) ?? numberAfter("CLASS", upper);
}

/** Mnemonic of a class, or `CLASSnnn`. */
export function classToText(rrClass: number): string {
  return classNames.get(rrClass) ?? `CLASS${rrClass}`;
}

/** Mnemonic of a response code (12 bits), or `RCODEnnn`. */
export function rcodeToText(rcode: number): string {
  return rcodeNames.get(rcode) ?? `RCODE${rcode}`;
}

/** Mnemonic of an operation code, or `OPCODEnnn`. */
export function opcodeToText(opcode: number): string {
  return opcodeNames.get(opcode) ?? `OPCODE${opcode}`;
}

/** Name of an extended DNS error in lower case with spaces, or `code nnn`. */
export function extendedErrorToText(code: number): string {
  return extendedErrorNames.get(code)?.toLowerCase().replaceAll("_", " ") ?? `code ${code}`;
}

/** True for types that exist only in questions or as transport (RFC 6895 §3.1), never in a zone. */
export function isMetaType(type: number): boolean {
  return type === RRType.OPT || (type >= 128 && type <= 255) || type === 0;
}

function namesByNumber(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, value]) => [value, name]));
}

function numberAfter(prefix: string, upper: string): number | undefined {
  if (!upper.startsWith(prefix)) {
    return undefined;
  }
  const digits = upper.slice(prefix.length);
  if (!/^[0-9]{1,5}$/.test(digits)) {
    return undefined;
  }
  const value = Number(digits);
  return value <= 65_535 ? value : undefined;
}
