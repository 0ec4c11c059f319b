// SPDX-License-Identifier: Apache-2.0

// Build phase of a zone: records and bindings in any order → sections, the same bytes for the same content. What is wrong in a zone
// (data beside a CNAME, two owners of one name and type) is found and reported by the model; here it is an assertion.

import { assert, ByteList, WordList } from "@meridian/core";
import { parsePrefix } from "../location/prefix.ts";
import type { WrittenSection } from "../section-writer.ts";
import { variantBits } from "../variants.ts";
import {
  BOUND_WORDS,
  NamesWriter,
  PendingBinding,
  PendingRecord,
  RECORD_WORDS,
  type ZoneBuild,
} from "./names-writer.ts";
import { Owner, OWNER_WORDS, OwnerTable } from "./owner-table.ts";
import { QueryName } from "./query-name.ts";
import { encodeRecord } from "./record-encoding.ts";
import { encodeSecondarySettings, type SecondarySettings } from "./secondary-settings.ts";
import { encodeQueryAccess } from "./query-access.ts";
import {
  encodeTransferSettings,
  type TransferRule,
  type TransferSettings,
} from "./transfer-settings.ts";
import { contentHashOf, writeZoneSection } from "./zone-section.ts";
import {
  boundTypeBit,
  CHUNK_BITS_MAX,
  ClientLocation,
  OWNERS_PER_CHUNK,
  SERIAL_BYTES_BEFORE_END,
  TRUST_WORDS,
  zoneNameText,
} from "./zone-format.ts";

const TYPE_SOA = 6;
const TYPE_RRSIG = 46;
const TYPE_DNSKEY = 48;

/** The service part of a bound HTTPS or SVCB record. `params` is in wire form (RFC 9460 §2.2) without the address hints. */
export interface ServiceBinding {
  readonly priority: number;
  /** Wire name; the root means the owner. */
  readonly target: Uint8Array;
  readonly params: Uint8Array;
  /** Whether the addresses of the decision are added as hints. */
  readonly hasHints: boolean;
}

/** The SRV part of a bound record. */
export interface SrvBinding {
  readonly priority: number;
  readonly weight: number;
  /** 0 means the endpoint's own port. */
  readonly port: number;
  /** Wire name; absent means the endpoint's host name. */
  readonly target?: Uint8Array;
}

/** What a name is bound to. TTLs in seconds. */
export interface Binding {
  /** `TargetKind`. */
  readonly targetKind: number;
  /** `policy/NS/NAME` or `pool/NS/NAME`, hashed. */
  readonly targetKey: bigint;
  readonly ttlMin: number;
  readonly ttlMax: number;
  /** Most endpoints in an answer; 0 leaves it to the policy. */
  readonly answers?: number;
  /** `ClientLocation`; absent inherits from the zone. */
  readonly clientLocation?: number;
  readonly service?: ServiceBinding;
  readonly srv?: SrvBinding;
  readonly objectiveSeconds?: number;
}

/** Types and binding that several owners have. */
export interface SharedBinding {
  /** Of the types. */
  readonly mask: number;
  /** Of the binding, in the zone. */
  readonly index: number;
}

/** What holds for a whole zone. */
export interface ZoneOptions {
  /** `ClientLocation`, not `inherit`. Default `preferEcs`. */
  readonly clientLocation?: number;
  /** Prefixes in text form whose ECS is believed; absent means everyone's. */
  readonly ecsTrust?: readonly string[];
  /** Most sets from which a name's answers of several endpoints are drawn at one place, 2 to 1024; absent: any set may be drawn. */
  readonly answerVariants?: number;
  /** Seed of the name hashes: one for all zones of a snapshot. */
  readonly seed?: number;
  /** About how many owners there will be. */
  readonly owners?: number;
  /** Who may have the zone as a whole; nobody where absent. */
  readonly transfers?: TransferSettings;
  /** Of a secondary zone. */
  readonly secondary?: SecondarySettings;
  /** Name of the view that the zone belongs to. */
  readonly view?: string | undefined;
  /** Of a zone of a view: whether it is signed with keys of its own, not with those of the zone of its origin that is in no view. */
  readonly hasOwnKeys?: boolean;
  /** Who may ask; everybody where absent. */
  readonly allowQuery?: readonly TransferRule[];
  /** Equal as long as nothing that is not in the zone itself has to move its serial. */
  readonly contentSalt?: string;
}

/** Collects one zone. Not usable after `finish()`. */
export class ZoneWriter {
  readonly #origin: Uint8Array;
  readonly #options: ZoneOptions;
  readonly #build: ZoneBuild;
  readonly #name: QueryName;
  readonly #originLabels: number;
  readonly #bindings: Binding[] = [];
  readonly #bindingIndex = new Map<Binding, number>();
  #soaRecord = -1;
  #hasKeys = false;
  #hasSignatures = false;
  #isFinished = false;

  /** `origin` is a wire name. */
  constructor(origin: Uint8Array, options: ZoneOptions = {}) {
    const seed = options.seed ?? 0;
    this.#name = new QueryName(seed);
    assert(
      this.#name.set(origin, 0, origin.length, 0) === origin.length,
      "the origin is a wire name",
    );
    this.#originLabels = this.#name.labelCount;
    this.#origin = this.#name.bytes.slice(0, this.#name.length);
    this.#options = options;
    this.#build = {
      origin: this.#origin,
      originText: zoneNameText(originText(this.#origin), options.view),
      seed,
      owners: new OwnerTable(options.owners ?? 0),
      records: new WordList(),
      recordBytes: new ByteList(),
      bound: new WordList(),
      bindings: this.#bindings,
    };
    this.#build.owners.add(this.#name.hashes[0]!, this.#origin, 0, 0, -1, this.#originLabels);
  }

  /** Adds one record in class IN. `owner` and `rdata` are in wire form, names in rdata uncompressed; `ttl` in seconds. */
  addRecord(owner: Uint8Array, type: number, ttl: number, rdata: Uint8Array): void {
    const { records, recordBytes } = this.#build;
    const ownerIndex = this.#owner(owner, owner.length);
    const at = recordBytes.length;
    encodeRecord(recordBytes, type, rdata, this.#origin);
    if (ownerIndex === 0) {
      this.#hasKeys ||= type === TYPE_DNSKEY;
      this.#hasSignatures ||= type === TYPE_RRSIG;
    }
    if (type === TYPE_SOA) {
      assert(ownerIndex === 0, "only the apex has an SOA");
      this.#soaRecord = records.length;
    }
    const row = records.zeros(RECORD_WORDS);
    const { words } = records;
    words[row + PendingRecord.type] = type;
    words[row + PendingRecord.ttl] = ttl;
    words[row + PendingRecord.at] = at;
    words[row + PendingRecord.bytes] = recordBytes.length - at;
    words[row + PendingRecord.previous] = this.#linkTo(ownerIndex, Owner.lastRecord, row);
  }

  /**
   * Binds `types` of `owner` (A, AAAA, CNAME, HTTPS, SVCB, SRV) to a policy or pool. Owners that are bound alike should be given the
   * same object, which is then kept once.
   */
  addBinding(owner: Uint8Array, types: readonly number[], binding: Binding): void {
    this.bind(owner, owner.length, this.sharedBinding(types, binding));
  }

  /** The same in two steps, for many owners that are bound alike: what `bind` takes. */
  sharedBinding(types: readonly number[], binding: Binding): SharedBinding {
    let mask = 0;
    for (const type of types) {
      const bit = boundTypeBit(type);
      assert(bit !== 0, "only address, alias and service types can be bound");
      mask |= bit;
    }
    let index = this.#bindingIndex.get(binding);
    if (index === undefined) {
      index = this.#bindings.push(binding) - 1;
      this.#bindingIndex.set(binding, index);
    }
    return { mask, index };
  }

  /** Binds the owner that the first `length` bytes are. */
  bind(owner: Uint8Array, length: number, { mask, index }: SharedBinding): void {
    const { bound } = this.#build;
    const ownerIndex = this.#owner(owner, length);
    const row = bound.zeros(BOUND_WORDS);
    const { words } = bound;
    words[row + PendingBinding.mask] = mask;
    words[row + PendingBinding.binding] = index;
    words[row + PendingBinding.previous] = this.#linkTo(ownerIndex, Owner.lastBound, row);
  }

  /**
   * Lays out the zone section first, then its names sections in order. With `serialOf` the SOA's serial follows the content: it is called
   * with a hash (hex) that is equal for equal content, and gives the serial. Without it the SOA's own serial stays.
   */
  finish(serialOf?: (contentHash: string) => number): WrittenSection[] {
    assert(!this.#isFinished, "a zone is finished once");
    this.#isFinished = true;
    const chunkBits = chunkBitsFor(this.#build.owners.count);
    const writer = new NamesWriter(this.#build, chunkBits);
    if (serialOf !== undefined) this.#putSerial(0);
    const names = writer.writeAll();
    const contentHash = contentHashOf(names, this.#options.contentSalt);
    if (serialOf !== undefined && this.#soaRecord >= 0) {
      this.#putSerial(serialOf(contentHash));
      names[writer.apexChunk] = writer.write(writer.apexChunk);
    }
    return [this.#zoneSection(chunkBits, names, contentHash), ...names];
  }

  /** Makes `row` the owner's last; returns what was, to be kept in the row. */
  #linkTo(owner: number, word: number, row: number): number {
    const { words } = this.#build.owners.rows;
    const at = owner * OWNER_WORDS + word;
    const previous = words[at]!;
    words[at] = row + 1;
    return previous;
  }

  #putSerial(serial: number): void {
    if (this.#soaRecord < 0) return;
    const { records, recordBytes } = this.#build;
    const start = records.at(this.#soaRecord + PendingRecord.at);
    const end = start + records.at(this.#soaRecord + PendingRecord.bytes);
    const { bytes } = recordBytes;
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(end - SERIAL_BYTES_BEFORE_END, serial);
  }

  #owner(owner: Uint8Array, length: number): number {
    const name = this.#name;
    assert(name.set(owner, 0, length, 0) === length, "the owner is a wire name");
    const originLabel = name.labelCount - this.#originLabels;
    assert(originLabel >= 0 && this.#endsInOrigin(), "the owner lies in the zone");
    const end = name.starts[originLabel]!;
    const { owners } = this.#build;
    let label = 0;
    let parent = -1;
    // The nearest ancestor that exists, then everything between it and the owner: empty non-terminals are entries too.
    for (; ; label++) {
      parent = owners.find(name.hashes[label]!, name.bytes, name.starts[label]!, end);
      if (parent >= 0) break;
    }
    while (label > 0) {
      label -= 1;
      parent = owners.add(
        name.hashes[label]!,
        name.bytes,
        name.starts[label]!,
        end,
        parent,
        name.labelCount - label,
      );
    }
    return parent;
  }

  #endsInOrigin(): boolean {
    const origin = this.#origin;
    const { bytes, length } = this.#name;
    const shift = length - origin.length;
    for (let index = 0; index < origin.length; index++)
      if (bytes[shift + index] !== origin[index]) return false;
    return true;
  }

  #zoneSection(
    chunkBits: number,
    names: readonly WrittenSection[],
    contentHash: string,
  ): WrittenSection {
    const { originText: text, seed, records, recordBytes, owners } = this.#build;
    return writeZoneSection({
      origin: this.#origin,
      originText: text,
      seed,
      chunkBits,
      clientLocation: this.#options.clientLocation ?? ClientLocation.preferEcs,
      variantBits: variantBits(this.#options.answerVariants ?? 0),
      trust: this.#options.ecsTrust === undefined ? undefined : trustTable(this.#options.ecsTrust),
      ownerCount: owners.count,
      soa:
        this.#soaRecord < 0
          ? undefined
          : {
              bytes: recordBytes.bytes.subarray(
                records.at(this.#soaRecord + PendingRecord.at),
                records.at(this.#soaRecord + PendingRecord.at) +
                  records.at(this.#soaRecord + PendingRecord.bytes),
              ),
              ttl: records.at(this.#soaRecord + PendingRecord.ttl),
            },
      names,
      contentHash,
      transfers:
        this.#options.transfers === undefined
          ? undefined
          : encodeTransferSettings(this.#options.transfers),
      secondary:
        this.#options.secondary === undefined
          ? undefined
          : encodeSecondarySettings(this.#options.secondary),
      queryAccess:
        this.#options.allowQuery === undefined
          ? undefined
          : encodeQueryAccess(this.#options.allowQuery),
      view: this.#options.view,
      hasOwnKeys: this.#options.hasOwnKeys === true,
      isPresigned: this.#hasKeys && this.#hasSignatures,
    });
  }
}

function trustTable(prefixes: readonly string[]): Uint32Array {
  const words = new Uint32Array(prefixes.length * TRUST_WORDS);
  prefixes.forEach((text, index) => {
    const prefix = parsePrefix(text);
    assert(prefix !== undefined, "a trusted prefix is an address and a length");
    words.set([prefix.family, prefix.length, ...prefix.words], index * TRUST_WORDS);
  });
  return words;
}

/** How many names sections a zone has, as a power of two. */
export function chunkBitsFor(ownerCount: number): number {
  let bits = 0;
  while (bits < CHUNK_BITS_MAX && ownerCount / 2 ** bits > OWNERS_PER_CHUNK) bits += 1;
  return bits;
}

/** Lower-case presentation form without trailing dot, as keys use it; bytes outside printable ASCII as `\DDD`. */
export function originText(origin: Uint8Array): string {
  const labels: string[] = [];
  for (let at = 0; origin[at] !== 0; at += origin[at]! + 1) {
    let label = "";
    for (const byte of origin.subarray(at + 1, at + 1 + origin[at]!)) {
      const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
      label += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
    }
    labels.push(label);
  }
  return labels.join(".");
}
