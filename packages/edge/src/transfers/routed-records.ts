// SPDX-License-Identifier: Apache-2.0

// What a routed name goes out with to who takes its zone as a whole: records that any server can serve. The default is what the query
// path itself answers to a client of no place while every member is healthy, at a time that stands still: the same on every edge.

import { RRType } from "@meridian/dns";
import {
  Admin,
  BoundType,
  BranchTarget,
  BranchWord,
  NO_TARGET,
  NodeWord,
  OverlayReader,
  OverlayWriter,
  PER_MILLE,
  TargetKind,
  Verdict,
  endpointSlot,
  type TransferAs,
  type WalkedBinding,
  type LoadedZone,
  type WalkedRecord,
  type World,
} from "@meridian/snapshot";
import { addressCount, copyAddress } from "../query-addresses.ts";
import { Parsed } from "../query-message.ts";
import { Chain, resolve } from "../query-resolve.ts";
import { QueryState, ServedSnapshot } from "../query-state.ts";

const ANSWER_BYTES_MAX = 65_535;
const HEADER_BYTES = 12;
const OWNER_POINTER = 0xc000 | HEADER_BYTES;
const RECORD_FIXED_BYTES = 12;
/** Log2 of seconds in which nothing will change. */
const NEVER = 31;
const HEALTHY = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, NEVER);
/** Of one name; as many as a pool has members (design §6). */
const ADDRESSES_MAX = 1024;
const noSource = new Uint8Array(4);

const typesOfBits: readonly (readonly [number, number])[] = [
  [BoundType.a, RRType.A],
  [BoundType.aaaa, RRType.AAAA],
  [BoundType.cname, RRType.CNAME],
  [BoundType.https, RRType.HTTPS],
  [BoundType.svcb, RRType.SVCB],
  [BoundType.srv, RRType.SRV],
];

export class RoutedRecords {
  readonly #world: World;
  readonly #as: TransferAs;
  readonly #slots: Uint32Array | undefined;
  readonly #zone: LoadedZone | undefined;
  /** Made when it is asked for first: it holds a slot for every endpoint. */
  #state: QueryState | undefined;
  readonly #chain = new Chain();
  readonly #output = new Uint8Array(ANSWER_BYTES_MAX);

  /**
   * `slots` are those of now, for what is decided with them; every member is healthy where left out. `zone` is the one whose records are
   * wanted, where it may be in a view.
   */
  constructor(
    world: World,
    as: TransferAs,
    { slots, zone }: { readonly slots?: Uint32Array; readonly zone?: LoadedZone | undefined } = {},
  ) {
    this.#world = world;
    this.#as = as;
    this.#slots = slots;
    this.#zone = zone;
  }

  get #query(): QueryState {
    if (this.#state !== undefined) return this.#state;
    const world = this.#world;
    const slots = this.#slots ?? world.initialSlots();
    if (this.#slots === undefined) slots.fill(HEALTHY, 0, world.poolEpochSlots);
    const overlay = new OverlayWriter(slots);
    const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
    this.#state = new QueryState(new ServedSnapshot(0, world, reader));
    if (this.#zone !== undefined) this.#state.zones = world.zonesBeside(this.#zone);
    return this.#state;
  }

  /** The records of one owner that is bound. */
  of(bindings: readonly WalkedBinding[]): WalkedRecord[] {
    if (this.#as === "omit") return [];
    const records = bindings.flatMap((binding) => (binding.isOccluded ? [] : this.#one(binding)));
    const aliases = records.filter(({ type }) => type === RRType.CNAME);
    // Each type that another name answers gives the same CNAME, which stands alone.
    return aliases.length > 0 ? aliases.slice(0, 1) : records;
  }

  #one(binding: WalkedBinding): WalkedRecord[] {
    return typesOfBits.flatMap(([bit, type]) => {
      if ((binding.mask & bit) === 0) return [];
      const isAddress = type === RRType.A || type === RRType.AAAA;
      const all = this.#as === "all" && isAddress ? this.#addresses(binding, type) : [];
      return all.length > 0 ? all : this.#answer(binding.owner, type);
    });
  }

  /** The answer section, as far as it is about the name itself. */
  #answer(owner: Uint8Array, type: number): WalkedRecord[] {
    const query = this.#query;
    const input = queryOf(owner, type);
    const output = this.#output;
    query.take(input, 0, input.length, output, 0, output.length);
    query.begin(noSource, 0, 4, true);
    const parsed = query.message.parse(input, 0, input.length, query.served.name);
    if (parsed !== Parsed.query) return [];
    query.response.begin(output, 0, input.length, output.length);
    resolve(query, this.#chain);
    const records: WalkedRecord[] = [];
    const view = new DataView(output.buffer);
    let at = input.length;
    const [count = 0] = query.response.counts;
    for (let record = 0; record < count; record++) {
      const length = view.getUint16(at + 10);
      const found = view.getUint16(at + 2);
      if (view.getUint16(at) === OWNER_POINTER && (found === type || found === RRType.CNAME)) {
        const start = at + RECORD_FIXED_BYTES;
        const rdata = output.slice(start, start + length);
        records.push({
          ...{ owner, type: found, ttl: view.getUint32(at + 6) },
          ...{ rdata, cutA: -1, cutB: -1 },
        });
      }
      at += RECORD_FIXED_BYTES + length;
    }
    return records;
  }

  /** The addresses of all members of all pools that a binding leads to, each once. */
  #addresses({ owner, target, ttlMax }: WalkedBinding, type: number): WalkedRecord[] {
    const { pools } = this.#world;
    const family = type === RRType.A ? 4 : 6;
    const found = new Map<string, WalkedRecord>();
    for (const pool of this.#poolsOf(target)) {
      const start = pools.memberStart(pool);
      for (let member = start; member < start + pools.memberCount(pool); member++)
        for (let index = 0; index < addressCount(pools, member, family); index++) {
          if (found.size >= ADDRESSES_MAX) return [...found.values()];
          const rdata = new Uint8Array(family === 4 ? 4 : 16);
          copyAddress(pools, member, family, index, rdata, 0);
          found.set(rdata.join(), { owner, type, ttl: ttlMax, rdata, cutA: -1, cutB: -1 });
        }
    }
    return [...found.values()];
  }

  #poolsOf(target: number): Set<number> {
    const found = new Set<number>();
    if (target === NO_TARGET) return found;
    const index = target >>> 1;
    if ((target & 1) === TargetKind.pool) return found.add(index);
    const { policies } = this.#world;
    const nodes = new Set([policies.rootOf(index)]);
    // Grows while it is walked.
    for (const node of nodes) {
      const first = policies.nodeWord(node, NodeWord.branchStart);
      const count = policies.nodeWord(node, NodeWord.branchCount);
      for (let branch = first; branch < first + count; branch++) {
        const to = policies.branchWord(branch, BranchWord.target);
        const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
        if (kind === BranchTarget.node) nodes.add(to);
        else if (kind === BranchTarget.pool) {
          const pool = policies.poolOfLink[to] ?? -1;
          if (pool >= 0) found.add(pool);
        }
      }
    }
    return found;
  }
}

function queryOf(owner: Uint8Array, type: number): Uint8Array {
  const query = new Uint8Array(HEADER_BYTES + owner.length + 4);
  query[5] = 1;
  query.set(owner, HEADER_BYTES);
  query.set([type >>> 8, type & 255, 0, 1], HEADER_BYTES + owner.length);
  return query;
}
