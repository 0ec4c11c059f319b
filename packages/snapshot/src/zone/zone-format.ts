// SPDX-License-Identifier: Apache-2.0

// A zone is one `zone` section (its facts) and 2ⁿ `names` sections (its owners). An owner lies in the section that the upper n bits
// of its name hash say, so that a changed record rebuilds one section, and one more for each ancestor that appears or goes.
//
// Name hash: from the root label to the left, h = mix32(h folded with the length byte and the lower-cased bytes of the label). One
// pass over a query name gives the hash of every suffix, so finding the zone, the owner and the closest encloser hashes nothing twice.
//
// A `names` section:
//
//   buckets   2ᵏ × { u32 hash, u32 node }      node = byte offset in `nodes` + 1, 0 = empty; linear probing, at most bound[0] steps
//   nodes     each 4-byte aligned, so that a look-up touches one bucket and one node:
//               u8 flags, u8 relative name bytes, u8 set count, u8 cut depth
//               u32 child count
//               set count × { u16 type, u16 RR count, u32 ttl, u32 RRs (byte offset in `nodes`), u32 RR bytes }
//                      or  { u16 bound type mask, u16 0xFFFF, u32 link, u32 shape, u32 0 }
//               relative name: the labels left of the origin, lower case, no root label
//               RRs: each { u16 rdata bytes, u8 cut A, u8 cut B, rdata }
//   shapes    the parameters of bound records that are equal for many (words, see Shape)
//   links     the keys of policies and pools; `linkKinds` says which is which
//
// A cut is the offset in the rdata at which the origin's own name begins: where the protocol allows it (RFC 3597 §4) those bytes may
// be replaced by a pointer to the origin in the question. 0xFF is none. Integers are little-endian; rdata is as on the wire.
//
// "Cut depth" of a node is 1 + the label count of the topmost delegation or DNAME strictly above it, 0 if there is none. What lies
// below such a node is occluded (glue at most), and one more look-up finds the node that answers for it.

/** Tables of a `zone` section. */
export const ZoneTableId = {
  facts: 16,
  trust: 17,
  chunks: 18,
  /** SHA-256 of the zone's content, 32 bytes: equal as long as nothing but the serial that follows the content differs. */
  content: 19,
  /** Who may have the zone as a whole (transfer-settings.ts); only where somebody may. */
  transfers: 24,
  /** Into how many variants answers of several endpoints fall, as a power of two, one word (variants.ts); only where they do. */
  variants: 25,
  /** Until when it may be answered from, and who may say that there is a newer one (secondary-settings.ts); of secondary zones alone. */
  secondary: 28,
  /** One byte, of zones of views alone that are signed with keys of their own. */
  ownKeys: 27,
  /** One byte, of zones that have keys and signatures in their own data alone. */
  presigned: 29,
  /** Who may ask the zone (query-access.ts); only where not everybody may. */
  queryAccess: 30,
  /** Name of the view that the zone belongs to; only of zones that belong to one. */
  view: 31,
} as const;

/** Tables of a `names` section. */
export const NamesTableId = { buckets: 16, nodes: 17, shapes: 18, linkKinds: 19 } as const;

/** Word indices in the `facts` table of a zone section. Offsets are into the heap. */
export const ZoneFact = {
  originOffset: 0,
  originBytes: 1,
  chunkBits: 2,
  clientLocation: 3,
  trustsEveryone: 4,
  soaOffset: 5,
  soaBytes: 6,
  negativeTtl: 7,
  ownerCount: 8,
  hasSoa: 9,
} as const;
export const ZONE_FACT_WORDS = 10;

/** Words of an entry of the `trust` table: family, prefix length and four words of address. */
export const TRUST_WORDS = 6;

/** Expected owners of one `names` section. */
export const OWNERS_PER_CHUNK = 4096;
/** Most `names` sections of a zone, as a power of two. */
export const CHUNK_BITS_MAX = 16;
/** A reader refuses a section whose probes may be longer. */
export const PROBES_MAX = 1024;

export const NodeFlag = {
  /** A wildcard child exists (RFC 4592 §2.1.1). */
  hasWildcard: 1,
  /** Has NS and is not the apex. */
  isCut: 2,
  hasDname: 4,
  hasCname: 8,
  isApex: 16,
  isBound: 32,
} as const;

/** Bytes of a node before its sets, and of one set. */
export const NODE_HEADER_BYTES = 8;
export const SET_BYTES = 16;
/** RR count that marks a bound set. */
export const BOUND_SET = 0xffff;
/** Bytes of an RR before its rdata. */
export const RR_HEADER_BYTES = 4;
/** A cut that is not there. */
export const NO_CUT = 0xff;

/** Bits of a bound set's type mask. */
export const BoundType = { a: 1, aaaa: 2, cname: 4, https: 8, svcb: 16, srv: 32 } as const;

/** What a bound record refers to. */
export const TargetKind = { policy: 0, pool: 1 } as const;

/** Where the client of a decision is taken from (RFC 7871, design §5). `inherit` is the zone's own setting. */
export const ClientLocation = { inherit: 0, preferEcs: 1, resolver: 2, ecsOnly: 3 } as const;

/** Word indices of a shape. Offsets are into the heap; times are seconds. */
export const Shape = {
  ttlMin: 0,
  ttlMax: 1,
  answers: 2,
  clientLocation: 3,
  servicePriority: 4,
  serviceTargetOffset: 5,
  serviceTargetBytes: 6,
  /** SvcParams with keys below ipv4hint, between the hints (ech), and above ipv6hint. */
  paramsLowOffset: 7,
  paramsLowBytes: 8,
  paramsMiddleOffset: 9,
  paramsMiddleBytes: 10,
  paramsHighOffset: 11,
  paramsHighBytes: 12,
  hasHints: 13,
  srvPriority: 14,
  srvWeight: 15,
  /** 0 means the endpoint's own port. */
  srvPort: 16,
  srvTargetOffset: 17,
  /** 0 means the endpoint's host name. */
  srvTargetBytes: 18,
  objectiveSeconds: 19,
} as const;
export const SHAPE_WORDS = 20;

/** Bit of a record type in a bound set's mask; 0 for a type that cannot be bound. */
export function boundTypeBit(type: number): number {
  switch (type) {
    case 1:
      return BoundType.a;
    case 28:
      return BoundType.aaaa;
    case 5:
      return BoundType.cname;
    case 65:
      return BoundType.https;
    case 64:
      return BoundType.svcb;
    case 33:
      return BoundType.srv;
    default:
      return 0;
  }
}

/** Bytes from an SOA's serial to the end of its rdata (RFC 1035 §3.3.13). */
export const SERIAL_BYTES_BEFORE_END = 20;

/** What a zone is called: its origin without trailing dot, and behind an `@` its view if it is in one. */
export function zoneNameText(origin: string, view: string | undefined): string {
  return view === undefined ? origin : `${origin}@${view}`;
}

/** Text whose key names a zone section; `origin` is its `zoneNameText` in lower case ("" is the root). */
export function zoneKeyText(origin: string): string {
  return `zone/${origin}`;
}

/** Text whose key names chunk `index` of a zone's names. */
export function namesKeyText(origin: string, index: number): string {
  return `names/${origin}/${index}`;
}
