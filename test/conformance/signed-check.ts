// SPDX-License-Identifier: Apache-2.0

// A validator written for reading: whether every set of a response is signed, and whether what it says is not there is proved (RFC 4035
// §5, RFC 6840 §4). It knows nothing of how the server does it.

import { createHash } from "node:crypto";
import {
  compareNames,
  equalNames,
  formatName,
  isSubdomain,
  labelCount,
  labelStarts,
  lowerName,
  nameLength,
  parentName,
  Rcode,
  readRrsig,
  rrsigFault,
  RRType,
  typeToText,
  wildcardOf,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";

/** A zone that is signed, and the keys that may have. */
export interface CheckedZone {
  readonly apex: Uint8Array;
  /** Denies as RFC 9824 says. */
  readonly isCompact?: boolean;
  readonly dnskeys: readonly Uint8Array[];
}

const TYPE_NXNAME = 128;

interface Nsec {
  readonly zone: Uint8Array | undefined;
  readonly owner: Uint8Array;
  readonly next: Uint8Array;
  readonly types: ReadonlySet<number>;
}

/** What is wrong with a response, in words; [] where nothing is. `now` in seconds. */
export function faultsOf(
  message: Message,
  qname: Uint8Array,
  qtype: number,
  zones: readonly CheckedZone[],
  now: number,
): string[] {
  return [
    ...setFaults(message.answer, message.answer, zones, now),
    ...setFaults(message.authority, message.answer, zones, now),
    ...setFaults(signedOf(message.additional), message.answer, zones, now),
    ...proofFaults(message, qname, qtype, zones, now),
  ];
}

/** Glue is not signed, and who answers may leave signatures out of this section: the sets that have one. */
function signedOf(additional: readonly ResourceRecord[]): ResourceRecord[] {
  const signatures = additional.filter(({ type }) => type === RRType.RRSIG);
  return additional.filter(({ owner, type }) =>
    signatures.some(
      (rrsig) =>
        equalNames(rrsig.owner, owner) &&
        (type === RRType.RRSIG || readRrsig(rrsig.rdata)?.typeCovered === type),
    ),
  );
}

function setFaults(
  section: readonly ResourceRecord[],
  answer: readonly ResourceRecord[],
  zones: readonly CheckedZone[],
  now: number,
): string[] {
  const sets = new Map<string, ResourceRecord[]>();
  for (const record of section) {
    if (record.type === RRType.RRSIG) continue;
    const key = `${formatName(record.owner).toLowerCase()} ${typeToText(record.type)}`;
    sets.set(key, [...(sets.get(key) ?? []), record]);
  }
  return [...sets].flatMap(([key, records]) => {
    const [first] = records;
    if (first === undefined) return [];
    const signature = section.filter(
      ({ owner, type, rdata }) =>
        type === RRType.RRSIG &&
        equalNames(owner, first.owner) &&
        readRrsig(rdata)?.typeCovered === first.type,
    );
    const zone = zoneOf(first.owner, first.type, zones);
    if (zone === undefined || isUnsigned(first, section, answer, zone))
      return signature.length === 0 ? [] : [`${key}: signed, expected none`];
    if (signature.length === 0) return [`${key}: no signature`];
    const rdatas = records.map(({ rdata }) => rdata);
    const set = { owner: first.owner, type: first.type, ttl: first.ttl, rdatas };
    return signature.flatMap((rrsig) => {
      // A name of a parent zone may be the apex of another zone that it does not delegate to.
      const keys = zones.flatMap(({ apex, dnskeys }) =>
        isSubdomain(first.owner, apex) ? dnskeys : [],
      );
      const faults = keys.map((key_) => rrsigFault(set, rrsig.rdata, key_, now));
      const fields = readRrsig(rrsig.rdata);
      const isLong = (fields?.originalTtl ?? 0) < first.ttl || rrsig.ttl !== first.ttl;
      return [
        ...(faults.includes(undefined) ? [] : [`${key}: ${faults.join(", ")}`]),
        ...(isLong ? [`${key}: TTL ${first.ttl}`] : []),
      ];
    });
  });
}

/** The name servers of a delegation, and a CNAME that follows from a DNAME. */
function isUnsigned(
  { owner, type }: ResourceRecord,
  section: readonly ResourceRecord[],
  answer: readonly ResourceRecord[],
  zone: CheckedZone,
): boolean {
  if (type === RRType.NS && section !== answer) return !equalNames(owner, zone.apex);
  return (
    type === RRType.CNAME &&
    answer.some(
      (other) =>
        other.type === RRType.DNAME &&
        isSubdomain(owner, other.owner) &&
        !equalNames(owner, other.owner) &&
        // A DNAME of a zone above says nothing of what is in this one; at its apex is no CNAME of its own.
        (isSubdomain(other.owner, zone.apex) || equalNames(owner, zone.apex)),
    )
  );
}

/** The zone that is to have signed: the deepest one; for DS at an apex its parent. */
function zoneOf(
  owner: Uint8Array,
  type: number,
  zones: readonly CheckedZone[],
): CheckedZone | undefined {
  const above = zones
    .filter(({ apex }) => isSubdomain(owner, apex))
    .toSorted((a, b) => b.apex.length - a.apex.length);
  const [first, second] = above;
  return type === RRType.DS && first !== undefined && equalNames(first.apex, owner)
    ? (second ?? first)
    : first;
}

function proofFaults(
  message: Message,
  qname: Uint8Array,
  qtype: number,
  zones: readonly CheckedZone[],
  now: number,
): string[] {
  const { authority } = message;
  const nsecs = authority.flatMap((record) =>
    nsecOf(record, signerOf(record, authority, zones, now)),
  );
  const hashes = authority.flatMap(hashedOf);
  const faults =
    hashes.length > 0
      ? expandedHashFaults(message.answer, hashes)
      : expandedFaults(message.answer, nsecs);
  const last = endOfChain(message.answer, qname, qtype);
  const referral = message.authority.find(({ type }) => type === RRType.NS);
  const hasAnswer = message.answer.some(
    ({ owner, type }) => equalNames(owner, last) && type === qtype,
  );
  if (referral !== undefined)
    return [
      ...faults,
      ...(hashes.length > 0
        ? hashedReferralFaults(message, referral, hashes)
        : referralFaults(message, referral, nsecs)),
    ];
  if (hasAnswer || !message.authority.some(({ type }) => type === RRType.SOA)) return faults;
  const zone = zoneOf(last, qtype, zones);
  if (zone === undefined) return faults;
  // A chain of aliases may have led through other zones: what these deny says nothing of what is in this one (RFC 4035 §5.4).
  const ownHashes = hashes.filter((hashed) => equalNames(hashed.zone, zone.apex));
  if (hashes.length > 0)
    return [
      ...faults,
      ...hashedFaults(
        last,
        message.rcode === Rcode.NXDOMAIN ? undefined : qtype,
        ownHashes,
        zone.apex,
      ),
    ];
  const own = nsecs.filter((nsec) => nsec.zone !== undefined && equalNames(nsec.zone, zone.apex));
  if (zone.isCompact === true) return [...faults, ...compactFaults(message, last, qtype, own)];
  return message.rcode === Rcode.NXDOMAIN
    ? [...faults, ...absentFaults(last, own)]
    : [...faults, ...noDataFaults(last, qtype, own)];
}

/** The apex of the zone whose key made a signature over the NSEC record; undefined for other records, and where there is none. */
function signerOf(
  { owner, type, ttl, rdata }: ResourceRecord,
  section: readonly ResourceRecord[],
  zones: readonly CheckedZone[],
  now: number,
): Uint8Array | undefined {
  if (type !== RRType.NSEC) return undefined;
  const rrsigs = section.filter(
    (other) => other.type === RRType.RRSIG && equalNames(other.owner, owner),
  );
  return zones.find(({ apex, dnskeys }) =>
    rrsigs.some(
      (rrsig) =>
        equalNames(readRrsig(rrsig.rdata)?.signer ?? new Uint8Array(1), apex) &&
        dnskeys.some(
          (key) =>
            rrsigFault({ owner, type, ttl, rdatas: [rdata] }, rrsig.rdata, key, now) === undefined,
        ),
    ),
  )?.apex;
}

/** A name that a wildcard stood for does not exist itself (RFC 4035 §5.3.4). */
function expandedFaults(answer: readonly ResourceRecord[], nsecs: readonly Nsec[]): string[] {
  return answer.flatMap(({ owner, type, rdata }) => {
    const labels = readRrsig(rdata)?.labels ?? 0;
    if (type !== RRType.RRSIG || labels >= ownLabels(owner)) return [];
    const starts = labelStarts(owner);
    const nextCloser = owner.subarray(starts[starts.length - labels - 1] ?? 0);
    const signer = readRrsig(rdata)?.signer ?? new Uint8Array(1);
    return nsecs.some(
      (nsec) =>
        equalNames(nsec.zone ?? new Uint8Array(1), signer) &&
        covers(nsec, owner) &&
        !isSubdomain(nsec.next, nextCloser),
    )
      ? []
      : [`${formatName(owner)}: from a wildcard, and no proof that it does not exist`];
  });
}

function ownLabels(owner: Uint8Array): number {
  return labelCount(owner) - (owner[0] === 1 && owner[1] === 0x2a ? 1 : 0);
}

function referralFaults(
  message: Message,
  { owner }: ResourceRecord,
  nsecs: readonly Nsec[],
): string[] {
  if (message.authority.some(({ type }) => type === RRType.DS)) return [];
  const isProved = nsecs.some(
    (nsec) =>
      equalNames(nsec.owner, owner) &&
      nsec.types.has(RRType.NS) &&
      !nsec.types.has(RRType.DS) &&
      !nsec.types.has(RRType.SOA),
  );
  return isProved ? [] : [`${formatName(owner)}: no DS, and no proof of that`];
}

/** RFC 4035 §5.4: neither the name nor the wildcard at its closest encloser exists. */
function absentFaults(name: Uint8Array, nsecs: readonly Nsec[]): string[] {
  const cover = nsecs.find((nsec) => covers(nsec, name));
  if (cover === undefined) return [`${formatName(name)}: no proof that it does not exist`];
  if (isSubdomain(cover.next, name))
    return [`${formatName(name)}: exists as an empty non-terminal`];
  const wildcard = wildcardOf(closestEncloser(name, cover));
  return wildcard !== undefined && nsecs.some((nsec) => covers(nsec, wildcard))
    ? []
    : [`${formatName(name)}: no proof that no wildcard stands for it`];
}

/** RFC 9824 §3: one NSEC of the name itself, up to the name right behind it. */
function compactFaults(
  message: Message,
  name: Uint8Array,
  type: number,
  nsecs: readonly Nsec[],
): string[] {
  const match = nsecs.find(({ owner }) => equalNames(owner, name));
  if (match === undefined) return [`${formatName(name)}: no NSEC of its own`];
  const isNext = equalNames(match.next, new Uint8Array([1, 0, ...name]));
  const isGone = match.types.has(TYPE_NXNAME);
  return [
    ...(isNext ? [] : [`${formatName(name)}: NSEC to ${formatName(match.next)}`]),
    ...(isGone && match.types.size > 3 ? [`${formatName(name)}: NXNAME among other types`] : []),
    ...(message.rcode === Rcode.NXDOMAIN ? [`${formatName(name)}: NXDOMAIN without CO`] : []),
    ...noDataFaults(name, type, nsecs),
  ];
}

function noDataFaults(name: Uint8Array, type: number, nsecs: readonly Nsec[]): string[] {
  const lacks = (nsec: Nsec): boolean => !nsec.types.has(type) && !nsec.types.has(RRType.CNAME);
  const match = nsecs.find((nsec) => equalNames(nsec.owner, name));
  if (match !== undefined) {
    const isParents = match.types.has(RRType.NS) && !match.types.has(RRType.SOA);
    if (isParents && type !== RRType.DS) return [`${formatName(name)}: denied by the parent`];
    return lacks(match) ? [] : [`${formatName(name)}: denied, and its NSEC has the type`];
  }
  const cover = nsecs.find((nsec) => covers(nsec, name));
  if (cover === undefined) return [`${formatName(name)}: no proof of NODATA`];
  if (isSubdomain(cover.next, name)) return [];
  const wildcard = wildcardOf(closestEncloser(name, cover));
  const standsIn = nsecs.find(
    (nsec) =>
      wildcard !== undefined &&
      (equalNames(nsec.owner, wildcard) ||
        (covers(nsec, wildcard) && isSubdomain(nsec.next, wildcard))),
  );
  const isProved =
    standsIn !== undefined &&
    (wildcard === undefined || !equalNames(standsIn.owner, wildcard) || lacks(standsIn));
  return isProved ? [] : [`${formatName(name)}: no proof that its wildcard lacks the type`];
}

/** The longest name above `name` that the NSEC shows to exist. */
function closestEncloser(name: Uint8Array, { owner, next }: Nsec): Uint8Array {
  let encloser = name;
  while (!isSubdomain(owner, encloser) && !isSubdomain(next, encloser))
    encloser = parentName(encloser) ?? new Uint8Array(1);
  return encloser;
}

/** Whether the name lies in the gap, and the NSEC may speak of it (RFC 6840 §4.1). */
function covers({ owner, next, types }: Nsec, name: Uint8Array): boolean {
  if (compareNames(owner, name) >= 0) return false;
  const isLast = compareNames(next, owner) <= 0;
  if (isLast ? !isSubdomain(name, next) : compareNames(name, next) >= 0) return false;
  const isOthers = types.has(RRType.DNAME) || (types.has(RRType.NS) && !types.has(RRType.SOA));
  return !(isOthers && isSubdomain(name, owner));
}

/** Where the CNAMEs of the answer lead, those made from DNAMEs among them. */
export function endOfChain(
  answer: readonly ResourceRecord[],
  qname: Uint8Array,
  qtype: number,
): Uint8Array {
  let name = qname;
  for (let step = 0; step < 16 && qtype !== RRType.CNAME; step++) {
    const current = name;
    const alias = answer.find(
      ({ owner, type }) => type === RRType.CNAME && equalNames(owner, current),
    );
    if (alias === undefined) break;
    name = alias.rdata;
  }
  return name;
}

function nsecOf({ owner, type, rdata }: ResourceRecord, zone?: Uint8Array): Nsec[] {
  if (type !== RRType.NSEC) return [];
  const length = nameLength(rdata, 0);
  const types = new Set<number>();
  for (let at = length; at + 2 <= rdata.length; at += 2 + (rdata[at + 1] ?? 0))
    for (let bit = 0; bit < (rdata[at + 1] ?? 0) * 8; bit++)
      if (((rdata[at + 2 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0)
        types.add((rdata[at] ?? 0) * 256 + bit);
  return [{ zone, owner, next: rdata.subarray(0, length), types }];
}

/** An NSEC3 record, hashes as hexadecimal text, which is in their order. */
interface Hashed {
  readonly zone: Uint8Array;
  readonly own: string;
  readonly next: string;
  readonly types: ReadonlySet<number>;
}

function hashedOf({ owner, type, rdata }: ResourceRecord): Hashed[] {
  if (type !== RRType.NSEC3) return [];
  const text = formatName(owner).split(".", 1)[0] ?? "";
  const bits = [...text].map((digit) => parseInt(digit, 32).toString(2).padStart(5, "0")).join("");
  const own = Buffer.from(bits.match(/.{8}/g)?.map((byte) => parseInt(byte, 2)) ?? []);
  const bitmap = rdata.subarray(26);
  // As an NSEC record whose next name is the root.
  const [nsec] = nsecOf({
    ...{ owner, type: RRType.NSEC, class: 1, ttl: 0 },
    rdata: new Uint8Array([0, ...bitmap]),
  });
  const next = Buffer.from(rdata.subarray(6, 26)).toString("hex");
  const zone = parentName(owner) ?? new Uint8Array(1);
  return [{ zone, own: own.toString("hex"), next, types: nsec?.types ?? new Set() }];
}

function hashOf(name: Uint8Array): string {
  return createHash("sha1").update(lowerName(name)).digest("hex");
}

function hasHash(hashes: readonly Hashed[], name: Uint8Array): Hashed | undefined {
  return hashes.find(({ own }) => own === hashOf(name));
}

function coversHash(hashes: readonly Hashed[], name: Uint8Array): boolean {
  const wanted = hashOf(name);
  return hashes.some(({ own, next }) =>
    own < next ? own < wanted && wanted < next : wanted > own || wanted < next,
  );
}

function expandedHashFaults(
  answer: readonly ResourceRecord[],
  hashes: readonly Hashed[],
): string[] {
  return answer.flatMap(({ owner, type, rdata }) => {
    const labels = readRrsig(rdata)?.labels ?? 0;
    if (type !== RRType.RRSIG || labels >= ownLabels(owner)) return [];
    const starts = labelStarts(owner);
    const nextCloser = owner.subarray(starts[starts.length - labels - 1] ?? 0);
    const signer = readRrsig(rdata)?.signer ?? new Uint8Array(1);
    const own = hashes.filter(({ zone }) => equalNames(zone, signer));
    return coversHash(own, nextCloser) ? [] : [`${formatName(owner)}: not proved to be absent`];
  });
}

function hashedReferralFaults(
  message: Message,
  { owner }: ResourceRecord,
  hashes: readonly Hashed[],
): string[] {
  if (message.authority.some(({ type }) => type === RRType.DS)) return [];
  const types = hasHash(hashes, owner)?.types ?? new Set([RRType.SOA]);
  return types.has(RRType.NS) && !types.has(RRType.DS) && !types.has(RRType.SOA)
    ? []
    : [`${formatName(owner)}: no DS, and no proof of that`];
}

/** RFC 5155 §8: NXDOMAIN where no type is given, else NODATA. */
function hashedFaults(
  name: Uint8Array,
  type: number | undefined,
  hashes: readonly Hashed[],
  apex: Uint8Array,
): string[] {
  const lacks = ({ types }: Hashed): boolean =>
    type === undefined || (!types.has(type) && !types.has(RRType.CNAME));
  const match = hasHash(hashes, name);
  if (match !== undefined) {
    if (type === undefined) return [`${formatName(name)}: NXDOMAIN, and it exists`];
    return lacks(match) ? [] : [`${formatName(name)}: denied, and its NSEC3 has the type`];
  }
  let nextCloser = name;
  let encloser = parentName(name) ?? name;
  while (hasHash(hashes, encloser) === undefined && encloser.length > apex.length) {
    nextCloser = encloser;
    encloser = parentName(encloser) ?? apex;
  }
  const wildcard = wildcardOf(encloser);
  if (hasHash(hashes, encloser) === undefined || !coversHash(hashes, nextCloser))
    return [`${formatName(name)}: no proof of its closest encloser`];
  if (wildcard === undefined) return [];
  const standsIn = hasHash(hashes, wildcard);
  const isProved =
    type === undefined ? coversHash(hashes, wildcard) : standsIn !== undefined && lacks(standsIn);
  return isProved ? [] : [`${formatName(name)}: no proof of what its wildcard is`];
}
