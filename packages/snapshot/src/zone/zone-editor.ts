// SPDX-License-Identifier: Apache-2.0

// A published zone with some names bound otherwise, or with other records. What comes out is what writing the whole zone anew would give, byte for byte, but
// only the names sections in which an owner changed, appeared or went are laid out, and the zone section.

import { assert } from "@meridian/core";
import type { WrittenSection } from "../section-writer.ts";
import type { Section } from "../section.ts";
import { isStop, NamesEditor, putSerial, soaOf, type EditedNode } from "./names-editor.ts";
import { encodeRecordSet, isSameSet, typeOf, type EditedRecord } from "./record-set.ts";
import { chunkOf, SETS_MAX } from "./names-writer.ts";
import { QueryName } from "./query-name.ts";
import { encodeSecondarySettings, type SecondarySettings } from "./secondary-settings.ts";
import { shapeOf } from "./shape-encoding.ts";
import { BOUND_SET, boundTypeBit, NodeFlag, zoneNameText } from "./zone-format.ts";
import { contentHashOf, readView, readZoneFacts, writeZoneSection } from "./zone-section.ts";
import { chunkBitsFor, originText, type Binding } from "./zone-writer.ts";

/** A section that is there, with its bytes for who opens it. */
export interface NamedPart {
  readonly written: WrittenSection;
  readonly section: Section;
}

/** What is known of an owner without its zone's documents. */
export interface OwnerFacts {
  readonly boundCount: number;
  readonly recordCount: number;
  /** Whether a delegation or DNAME lies at it or above. */
  readonly isOccluded: boolean;
}

/** What of a zone as a whole is other than it was. */
export interface ZoneFinish {
  /** As `ZoneWriter.finish` has it. */
  readonly serialOf?: ((contentHash: string) => number) | undefined;
  /** As `ZoneOptions` has it. */
  readonly contentSalt?: string | undefined;
  /** Of a secondary zone; as it was where left out. */
  readonly secondary?: SecondarySettings | undefined;
}

const TYPE_NS = 2;
const TYPE_CNAME = 5;
const TYPE_DNAME = 39;
const TYPE_RRSIG = 46;
const TYPE_NSEC = 47;
const TYPE_DNSKEY = 48;

export class ZoneEditor {
  readonly #zone: Section;
  readonly #names: readonly NamedPart[];
  readonly #editors: (NamesEditor | undefined)[];
  readonly #name: QueryName;
  readonly #origin: Uint8Array;
  readonly #chunkBits: number;
  readonly #originLabels: number;
  #ownerCount: number;

  /** The zone section, and its names sections in order. */
  constructor(zone: Section, names: readonly NamedPart[]) {
    const { origin, chunkBits, ownerCount, seed } = readZoneFacts(zone);
    this.#zone = zone;
    this.#names = names;
    this.#editors = names.map(() => undefined);
    this.#origin = origin;
    this.#chunkBits = chunkBits;
    this.#ownerCount = ownerCount;
    this.#name = new QueryName(seed);
    this.#name.set(origin, 0, origin.length, 0);
    this.#originLabels = this.#name.labelCount;
  }

  /** What stands at a name (wire form, within the zone) now. */
  factsOf(owner: Uint8Array): OwnerFacts {
    const apexLabel = this.#take(owner);
    const own = this.#node(0);
    let label = 0;
    let nearest = own;
    while (nearest === undefined && label < apexLabel) nearest = this.#node(++label);
    assert(nearest !== undefined, "a zone has an apex");
    return {
      boundCount: own?.bound.length ?? 0,
      recordCount: own?.records.length ?? 0,
      isOccluded: nearest.cutDepth > 0 || isStop(nearest),
    };
  }

  /** Binds a name as given and no otherwise; an owner that holds nothing any more goes, with its ancestors. */
  bind(
    owner: Uint8Array,
    bindings: readonly { readonly types: readonly number[]; readonly binding: Binding }[],
  ): void {
    this.#take(owner);
    const node = bindings.length === 0 ? this.#node(0) : this.#nodeOrNew(0);
    if (node === undefined) return;
    node.bound = bindings.map(({ types, binding }) => ({
      mask: types.reduce((mask, type) => mask | boundTypeBit(type), 0),
      targetKey: binding.targetKey,
      targetKind: binding.targetKind,
      shape: shapeOf(binding),
    }));
    if (bindings.length > 0) node.flags |= NodeFlag.isBound;
    else {
      node.flags &= ~NodeFlag.isBound;
      this.#leave(0, node);
    }
  }

  /**
   * Puts `after` in the place of the records of a type that are there. False where others than `before` are, and where it takes writing the
   * zone anew: what says where the zone ends (NS, DNAME), or that it was signed elsewhere. The editor is of no use then.
   */
  replaceRecords(
    owner: Uint8Array,
    type: number,
    before: readonly EditedRecord[],
    after: readonly EditedRecord[],
  ): boolean {
    const isApex = this.#take(owner) === 0;
    const comesOrGoes = (before.length === 0) !== (after.length === 0);
    if (type === TYPE_DNAME || (type === TYPE_NS && !isApex)) return false;
    if (isApex && comesOrGoes && (type === TYPE_DNSKEY || type === TYPE_RRSIG)) return false;
    if (after.length >= BOUND_SET) return false;
    const found = this.#node(0)?.records.find((set) => typeOf(set) === type);
    const expected = encodeRecordSet(type, before, this.#origin);
    if (!isSameSet(found, expected)) return false;
    const set = encodeRecordSet(type, after, this.#origin);
    const node = set === undefined ? this.#node(0) : this.#nodeOrNew(0);
    if (node === undefined) return true;
    const others = node.records.filter((each) => each !== found);
    node.records = [...others, ...(set === undefined ? [] : [set])].sort(
      (a, b) => typeOf(a) - typeOf(b),
    );
    if (node.bound.length + node.records.length > SETS_MAX) return false;
    if (type === TYPE_CNAME) {
      node.flags &= ~NodeFlag.hasCname;
      if (set !== undefined) node.flags |= NodeFlag.hasCname;
    }
    if (set === undefined) this.#leave(0, node);
    return true;
  }

  /** Whether a CNAME at a name, if any, stands alone there, and not at the apex. */
  isCnameAlone(owner: Uint8Array): boolean {
    const isApex = this.#take(owner) === 0;
    const { records = [], bound = [] } = this.#node(0) ?? {};
    const types = records.map(typeOf);
    return (
      !types.includes(TYPE_CNAME) ||
      (!isApex && bound.length === 0 && types.every((type) => besideCname.has(type)))
    );
  }

  /**
   * The zone section and then its names sections; untouched ones are the very objects. Undefined where the zone has outgrown its number
   * of names sections.
   */
  finish({ serialOf, contentSalt, secondary }: ZoneFinish = {}): WrittenSection[] | undefined {
    if (chunkBitsFor(this.#ownerCount) !== this.#chunkBits) return undefined;
    const text = zoneNameText(originText(this.#origin), readView(this.#zone));
    this.#take(this.#origin);
    const apexChunk = chunkOf(this.#name.hashes[0]! >>> 0, this.#chunkBits);
    const apex = this.#node(0);
    assert(apex !== undefined, "a zone has an apex");
    if (serialOf !== undefined) putSerial(apex, 0);
    const names = this.#names.map(({ written }, index) => {
      const editor = this.#editors[index];
      return editor?.isTouched === true ? editor.write(text, index) : written;
    });
    const contentHash = contentHashOf(names, contentSalt);
    const soa = soaOf(apex.records);
    if (serialOf !== undefined && soa !== undefined) {
      putSerial(apex, serialOf(contentHash));
      names[apexChunk] = this.#editor(apexChunk).write(text, apexChunk);
    }
    const facts = {
      ...readZoneFacts(this.#zone),
      ownerCount: this.#ownerCount,
      ...(secondary === undefined ? {} : { secondary: encodeSecondarySettings(secondary) }),
    };
    return [writeZoneSection({ ...facts, originText: text, soa, names, contentHash }), ...names];
  }

  /** Returns the label at which the origin begins. */
  #take(owner: Uint8Array): number {
    const name = this.#name;
    assert(name.set(owner, 0, owner.length, 0) === owner.length, "the owner is a wire name");
    const label = name.labelCount - this.#originLabels;
    assert(label >= 0, "the owner lies in the zone");
    return label;
  }

  #editor(chunk: number): NamesEditor {
    const part = this.#names[chunk];
    assert(part !== undefined, "a zone has all of its names sections");
    return (this.#editors[chunk] ??= new NamesEditor(part.section));
  }

  #editorOf(label: number): NamesEditor {
    return this.#editor(chunkOf(this.#name.hashes[label]! >>> 0, this.#chunkBits));
  }

  get #end(): number {
    return this.#name.starts[this.#name.labelCount - this.#originLabels]!;
  }

  /** The node of the name from `label` on. */
  #node(label: number): EditedNode | undefined {
    const { hashes, bytes, starts } = this.#name;
    return this.#editorOf(label).find(hashes[label]! >>> 0, bytes, starts[label]!, this.#end);
  }

  /** The same; with its ancestors it becomes one where there is none. */
  #nodeOrNew(label: number): EditedNode {
    const known = this.#node(label);
    if (known !== undefined) return known;
    const parent = this.#nodeOrNew(label + 1);
    const { hashes, bytes, starts, labelCount } = this.#name;
    const name = bytes.subarray(starts[label], this.#end);
    const below = isStop(parent) ? labelCount - label : 0;
    const cutDepth = parent.cutDepth === 0 ? below : parent.cutDepth;
    parent.childCount += 1;
    if (isWildcard(name)) parent.flags |= NodeFlag.hasWildcard;
    this.#ownerCount += 1;
    return this.#editorOf(label).add(hashes[label]! >>> 0, name, cutDepth);
  }

  /** Removes an owner without data or children, and what it alone held up. */
  #leave(label: number, node: EditedNode): void {
    const isKept = node.bound.length + node.records.length + node.childCount > 0;
    if (isKept || (node.flags & NodeFlag.isApex) !== 0) return;
    node.isGone = true;
    this.#ownerCount -= 1;
    const parent = this.#node(label + 1);
    assert(parent !== undefined, "an owner has a parent");
    parent.childCount -= 1;
    if (isWildcard(node.name)) parent.flags &= ~NodeFlag.hasWildcard;
    this.#leave(label + 1, parent);
  }
}

/** Types that may stand beside a CNAME (RFC 4035 §2.5), and it. */
const besideCname: ReadonlySet<number> = new Set([TYPE_CNAME, TYPE_RRSIG, TYPE_NSEC]);

function isWildcard(name: Uint8Array): boolean {
  return name[0] === 1 && name[1] === 0x2a;
}
