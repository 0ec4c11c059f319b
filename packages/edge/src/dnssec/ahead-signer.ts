// SPDX-License-Identifier: Apache-2.0

// Signs before anybody asks: a query path of its own asks itself for the names of signed zones, and what it signs lands in the table that
// all threads share. So the chain of denial and all that is static is signed once for a zone, made anew before it ends to hold, and what
// an overlay or a snapshot changes is signed for the names that were asked lately, mostly before the next query for them.
//
//   new material, first snapshot ─► all names          overlay or snapshot has changed ─► names asked lately
//   each refresh ÷ 4, at most an hour, and a minute after a snapshot ─► all names
//   after all names ─► once more, each with further clients until they bring nothing new: the sets that few are answered with

import { RRType } from "@meridian/dns";
import {
  BOUND_SET,
  BoundType,
  forEachNode,
  nameStart,
  NODE_HEADER_BYTES,
  NodeFlag,
  OverlayObserver,
  OverlayReader,
  OverlayWriter,
  SET_BYTES,
  World,
  type LoadedZone,
  type NamesChunk,
} from "@meridian/snapshot";
import { FixedCounter } from "../counter-layout.ts";
import { WorkerCounters } from "../counters.ts";
import type { SnapshotMessage } from "../handler.ts";
import { QueryHandler } from "../query-handler.ts";
import { ServedSnapshot } from "../query-state.ts";
import { AskedNames } from "./asked-names.ts";
import { placesOf } from "./signature-table.ts";
import type { SigningMessage } from "./signed-answers.ts";
import { SigningRole } from "./signing-role.ts";

/** What is done before others may run. */
const SLICE_MS = 5;
/** Clients that decided names are asked for, spread over the address space. */
const CLIENTS = 16;
/**
 * The same where the rare sets of a name are looked for, at most: until so many in a row brought nothing that was not signed. Of nine even sets
 * one in twelve names then lacks one.
 */
const CLIENTS_MAX = 256;
const CLIENTS_IN_VAIN = 24;
/** Signatures that one pass makes of rare sets, of what the table has room for, so that they push out nothing that is asked for. */
const RARE_SHARE = 1 / 2;
/** How far back names count as asked lately: the longest time that a resolver keeps a decided answer. */
const ASKED_SECONDS = 60;
const PASS_MS_MIN = 1000;
const PASS_MS_MAX = 3_600_000;
/** The same after another snapshot. */
const CHANGED_PASS_MS = 60_000;
const MESSAGE_BYTES_MAX = 65_535;
/** OPT with DO (RFC 3225). */
const OPT = Uint8Array.of(0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0);
const HEADER_BYTES = 12;

export class AheadSigner {
  readonly counters: WorkerCounters = new WorkerCounters();
  readonly #input = new Uint8Array(512);
  readonly #output = new Uint8Array(MESSAGE_BYTES_MAX);
  readonly #client = new Uint8Array(4);
  readonly #nowMs: () => number;
  #snapshot: SnapshotMessage | undefined;
  #world: World | undefined;
  #observer: OverlayObserver | undefined;
  #sequence = -1;
  #signing: SigningMessage | undefined;
  #asked: AskedNames | undefined;
  #handler: QueryHandler | undefined;
  /** What is left of a pass: names of chunks, a chunk at a time. */
  #work: Iterator<undefined> | undefined;
  /** Whether that is a pass for rare sets, and how many of them it may still sign. */
  #isForRare = false;
  #rareLeft = 0;
  #wantsAll = false;
  #wantsAsked = false;
  #wantsRare = false;
  #hasChanged = false;
  #allAtMs = 0;

  /** Wall time in milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  serve(message: SnapshotMessage): void {
    this.#world = World.open(message.world);
    this.#observer = new OverlayObserver(message.overlay, message.slotCount);
    this.#wantsAll ||= this.#snapshot === undefined;
    this.#breakOff();
    this.#hasChanged = true;
    this.#snapshot = message;
    this.#handler = undefined;
  }

  /** What is under way is done again later, as a whole. */
  #breakOff(): void {
    if (this.#work === undefined) return;
    if (this.#isForRare) this.#wantsRare = true;
    else this.#wantsAll = true;
    this.#work = undefined;
  }

  sign(message: SigningMessage): void {
    this.#signing = message;
    this.#asked = new AskedNames(message.asked);
    this.#wantsAll = true;
    this.#handler = undefined;
    this.#work = undefined;
  }

  /** Works for some milliseconds; false where there is nothing to do for now. */
  step(): boolean {
    const { materials = [] } = this.#signing ?? {};
    if (this.#world === undefined || materials.length === 0) return false;
    this.#look();
    if (this.#work === undefined) this.#begin();
    const work = this.#work;
    const handler = this.#handler;
    if (work === undefined || handler === undefined) return false;
    const endMs = performance.now() + SLICE_MS;
    handler.beginBatch();
    let isDone = false;
    while (!isDone && performance.now() < endMs) isDone = work.next().done === true;
    handler.endBatch();
    if (isDone) this.#work = undefined;
    return true;
  }

  /** Whether the overlay has moved on: what was asked lately comes first then. */
  #look(): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    const { sequence } = observer;
    if (sequence === this.#sequence && this.#handler !== undefined) return;
    this.#sequence = sequence;
    this.#handler = this.#makeHandler(observer);
    this.#breakOff();
    this.#wantsAsked = true;
  }

  #makeHandler(observer: OverlayObserver): QueryHandler | undefined {
    const world = this.#world;
    const signing = this.#signing;
    const { revision = 0, orders } = this.#snapshot ?? {};
    if (world === undefined || signing === undefined) return undefined;
    const overlay = new OverlayWriter(observer.moment().slots);
    const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
    const served = new ServedSnapshot(revision, world, reader, orders);
    const handler = new QueryHandler(served, {
      counters: this.counters,
      nowMs: this.#nowMs,
      ignoresViews: true,
    });
    handler.sign(signing, SigningRole.ahead);
    return handler;
  }

  #begin(): void {
    const nowMs = this.#nowMs();
    const { materials = [] } = this.#signing ?? {};
    const refresh = Math.min(...materials.map(({ refreshSeconds }) => refreshSeconds * 250));
    const most = this.#hasChanged ? CHANGED_PASS_MS : PASS_MS_MAX;
    const everyMs = Math.max(PASS_MS_MIN, Math.min(most, refresh));
    this.#isForRare = false;
    if (this.#wantsAsked) {
      this.#wantsAsked = false;
      this.#work = this.#pass(Math.floor(nowMs / 1000) - ASKED_SECONDS);
    } else if (this.#wantsAll || nowMs >= this.#allAtMs + everyMs) {
      this.#wantsAll = false;
      this.#wantsRare = true;
      this.#hasChanged = false;
      this.#allAtMs = nowMs;
      this.#work = this.#pass(0);
    } else if (this.#wantsRare) {
      this.#wantsRare = false;
      this.#isForRare = true;
      this.#rareLeft =
        this.#signing === undefined ? 0 : placesOf(this.#signing.signatures) * RARE_SHARE;
      this.#work = this.#pass(0);
    }
  }

  /** Asks for every name of the signed zones that was asked since `sinceSeconds`. */
  *#pass(sinceSeconds: number): Generator<undefined> {
    for (const zone of this.#handler?.signedZones ?? []) {
      for (let index = 0; index < zone.chunkCount; index++) {
        const chunk = zone.chunkAt(index);
        const nodes: number[] = [];
        forEachNode(chunk, (node) => nodes.push(node));
        for (const node of nodes) {
          // Another zone may have been asked meanwhile.
          this.#handler?.show(zone);
          if (this.#askFor(zone, chunk, node, sinceSeconds)) yield;
        }
        yield;
      }
    }
  }

  #askFor(zone: LoadedZone, chunk: NamesChunk, node: number, sinceSeconds: number): boolean {
    const { bytes, words } = chunk;
    const isBound = (bytes[node]! & NodeFlag.isBound) !== 0;
    if (this.#isForRare && !isBound) return false;
    const start = nameStart(bytes, node);
    const length = bytes[node + 1]!;
    if (start + length > bytes.length) return false;
    const name = new Uint8Array(length + zone.origin.length);
    name.set(bytes.subarray(start, start + length));
    name.set(zone.origin, length);
    if (sinceSeconds > 0 && !this.#wasAsked(name, sinceSeconds)) return false;
    for (let set = 0; set < bytes[node + 2]!; set++) {
      const head = words[(node + NODE_HEADER_BYTES + set * SET_BYTES) >>> 2]!;
      if (head >>> 16 === BOUND_SET) {
        for (const [bit, type] of boundTypes) if ((head & bit) !== 0) this.#askForSets(name, type);
      } else if (!this.#isForRare) this.#ask(name, head & 0xffff, 0);
    }
    if (this.#isForRare) return true;
    if (!isBound) this.#ask(name, RRType.AAAA, 0);
    // A type that no name has shows its NSEC record, and the name's SOA.
    this.#ask(name, UNUSED_TYPE, 0);
    return true;
  }

  /** What is decided for a name, as it is for some clients. */
  #askForSets(name: Uint8Array, type: number): void {
    if (!this.#isForRare) {
      for (let client = 0; client < CLIENTS; client++) this.#ask(name, type, client);
      return;
    }
    const { counters } = this;
    let inVain = 0;
    for (let client = CLIENTS; client < CLIENTS_MAX && inVain < CLIENTS_IN_VAIN; client++) {
      if (this.#rareLeft <= 0) return;
      const before = counters.of(FixedCounter.signaturesMade);
      this.#ask(name, type, client);
      const isNew = counters.of(FixedCounter.signaturesMade) !== before;
      inVain = isNew ? 0 : inVain + 1;
      if (isNew) this.#rareLeft -= 1;
    }
  }

  #wasAsked(wire: Uint8Array, sinceSeconds: number): boolean {
    const name = this.#handler?.lastQuery.served.name;
    name?.set(wire, 0, wire.length, 0);
    return this.#asked?.wasAsked(name?.hashes[0] ?? 0, sinceSeconds) === true;
  }

  #ask(name: Uint8Array, type: number, client: number): void {
    const input = this.#input;
    const end = HEADER_BYTES + name.length;
    input.fill(0, 0, HEADER_BYTES);
    input[5] = 1;
    input[11] = 1;
    input.set(name, HEADER_BYTES);
    input.set([type >>> 8, type & 0xff, 0, 1], end);
    input.set(OPT, end + 4);
    this.#client.set([1 + client * 13, client * 17, client * 29, 1]);
    const length = end + 4 + OPT.length;
    this.#handler?.handle(
      ...([
        input,
        0,
        length,
        this.#output,
        0,
        MESSAGE_BYTES_MAX,
        this.#client,
        0,
        4,
        true,
      ] as const),
    );
  }
}

/** Reserved for private use (RFC 6895 §3.1). */
const UNUSED_TYPE = 0xff00;
const boundTypes: readonly (readonly [bit: number, type: number])[] = [
  [BoundType.a, RRType.A],
  [BoundType.aaaa, RRType.AAAA],
  [BoundType.cname, RRType.CNAME],
  [BoundType.https, RRType.HTTPS],
  [BoundType.svcb, RRType.SVCB],
  [BoundType.srv, RRType.SRV],
];
