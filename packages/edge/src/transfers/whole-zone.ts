// SPDX-License-Identifier: Apache-2.0

// A zone as any server can show it that knows nothing but records: signed, with its chain of denial, and with digests over all of it
// (ZONEMD). What comes out is decided by the snapshot and the signing material alone, so that it is the same at every edge for a serial:
// signatures hold as long as those that control made of the keys, and are made without randomness. They are made where an owner has
// changed; what has not is taken from the zone as it was before.

import { RRType, zoneDigest, zonemdRdata, type ZonemdHash } from "@meridian/dns";
import type { LoadedZone, TransferAs, WalkedRecord, World } from "@meridian/snapshot";
import { chainOf } from "./denial-chain.ts";
import { ownersOf, type ZoneOwner } from "./owner-sets.ts";
import type { ZoneSigning } from "./zone-signing.ts";
import { startOf, type ZoneStart } from "./zone-contents.ts";

/** What a zone is made of. */
export interface WholeZoneInput {
  readonly world: World;
  readonly zone: LoadedZone;
  readonly as: TransferAs;
  /** Absent where the zone is not signed. */
  readonly signing?: ZoneSigning;
  readonly digests: readonly ZonemdHash[];
}

/** What an owner goes out with. */
interface WholeOwner {
  readonly owner: Uint8Array;
  /** All that is signed: where it is equal, so are the signatures. */
  readonly plain: Buffer;
  readonly records: Buffer;
}

/** A zone without its SOA record, by owner. */
export interface WholeZone {
  readonly start: ZoneStart;
  /** `ZoneSigning.id`. */
  readonly signedBy: string;
  readonly owners: ReadonlyMap<string, WholeOwner>;
}

/** Sorts last, and is no key of an owner. */
const DIGESTS_KEY = "zonemd";
/** Type, TTL, length of rdata. */
const HEAD_BYTES = 8;

/** Makes the zone, a little at each step. `before` is the same zone at another time. Undefined where the zone has no SOA. */
export function* makeWholeZone(
  input: WholeZoneInput,
  before: WholeZone | undefined,
): Generator<undefined, WholeZone | undefined> {
  const { zone, signing, digests } = input;
  const start = startOf(zone, signing?.serialShift);
  if (start === undefined) return undefined;
  const signedBy = signing?.id ?? "";
  const known = before?.signedBy === signedBy ? before.owners : undefined;
  const contents = yield* ownersOf(input, start.record);
  const all = signing === undefined ? contents : yield* chainOf(zone, signing, contents);
  const owners = new Map<string, WholeOwner>();
  for (const one of all) {
    const plain = plainOf(one);
    const last = known?.get(one.key);
    const isSame = last !== undefined && Buffer.compare(last.plain, plain) === 0;
    owners.set(one.key, isSame ? last : { owner: one.owner, plain, records: signed(one, signing) });
    yield;
  }
  const whole = { start, signedBy, owners };
  if (digests.length > 0) owners.set(DIGESTS_KEY, digested(whole, zone, digests, signing));
  return whole;
}

/** Every record but the SOA. */
export function* recordsOf({ owners }: WholeZone): Generator<WalkedRecord, undefined> {
  for (const owner of owners.values()) yield* decoded(owner);
  return undefined;
}

/** What goes and what comes from one to the other. */
export function* changesOf(
  before: WholeZone,
  after: WholeZone,
): Generator<undefined, { removed: WalkedRecord[]; added: WalkedRecord[] }> {
  const removed = new Map<string, WalkedRecord>();
  const added = new Map<string, WalkedRecord>();
  for (const [key, owner] of before.owners) {
    if (after.owners.get(key) === owner) continue;
    for (const record of decoded(owner)) removed.set(keyOf(record), record);
    yield;
  }
  for (const [name, owner] of after.owners) {
    if (before.owners.get(name) === owner) continue;
    for (const record of decoded(owner)) {
      const key = keyOf(record);
      if (!removed.delete(key)) added.set(key, record);
    }
    yield;
  }
  return { removed: [...removed.values()], added: [...added.values()] };
}

/** Equal for equal records. */
export function keyOf({ owner, type, ttl, rdata }: WalkedRecord): string {
  const text = (bytes: Uint8Array): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  return `${type} ${ttl} ${owner.length} ${text(owner)}${text(rdata)}`;
}

function plainOf({ sets }: ZoneOwner): Buffer {
  return Buffer.concat(
    [...sets].flatMap(([type, { ttl, rdatas, isSigned }]) => [
      Buffer.of(isSigned ? 1 : 0),
      ...encoded(type, ttl, rdatas),
    ]),
  );
}

function signed({ owner, sets }: ZoneOwner, signing: ZoneSigning | undefined): Buffer {
  const parts: Uint8Array[] = [];
  for (const [type, set] of sets) {
    if (type !== RRType.SOA) parts.push(...encoded(type, set.ttl, set.rdatas));
    const rrsigs =
      set.rrsigs ?? (set.isSigned ? (signing?.sign({ ...set, owner, type }) ?? []) : []);
    parts.push(...encoded(RRType.RRSIG, set.ttl, rrsigs));
  }
  return Buffer.concat(parts);
}

/** RFC 8976 §3: over all but itself and its signatures. */
function digested(
  whole: WholeZone,
  { origin }: LoadedZone,
  algorithms: readonly ZonemdHash[],
  signing: ZoneSigning | undefined,
): WholeOwner {
  const { record, serial } = whole.start;
  const records = [record, ...recordsOf(whole)];
  const rdatas = algorithms.map((algorithm) =>
    zonemdRdata(serial, algorithm, zoneDigest(origin, records, algorithm)),
  );
  const set = { ttl: record.ttl, rdatas, isSigned: signing !== undefined };
  const one = { key: DIGESTS_KEY, owner: origin, sets: new Map([[RRType.ZONEMD, set]]) };
  return { owner: origin, plain: plainOf(one), records: signed(one, signing) };
}

function encoded(type: number, ttl: number, rdatas: readonly Uint8Array[]): Uint8Array[] {
  return rdatas.flatMap((rdata) => {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt16BE(type);
    head.writeUInt32BE(ttl, 2);
    head.writeUInt16BE(rdata.length, 6);
    return [head, rdata];
  });
}

function* decoded({ owner, records }: WholeOwner): Generator<WalkedRecord> {
  for (let at = 0; at < records.length;) {
    const data = at + HEAD_BYTES;
    const end = data + records.readUInt16BE(at + 6);
    const [type, ttl] = [records.readUInt16BE(at), records.readUInt32BE(at + 2)];
    yield { owner, type, ttl, rdata: records.subarray(data, end), cutA: -1, cutB: -1 };
    at = end;
  }
}
