// SPDX-License-Identifier: Apache-2.0

// The query path in one process, for tests and benchmarks: zones written as master files, names bound to pools and policies, and a
// way to ask. No sockets: test/conformance asks over those.

import assert from "node:assert/strict";
import {
  decodeMessage,
  encodeMessage,
  makeQuery,
  parseMasterFile,
  parseName,
  rootName,
  type Message,
  type QueryOptions,
} from "@meridian/dns";
import {
  EdgeSigning,
  type AheadSigner,
  QueryHandler,
  SILENT_LOGGER,
  ServedSnapshot,
  WorkerCounters,
  type QueryHandlerOptions,
  type SigningMessage,
} from "@meridian/edge";
import {
  Admin,
  endpointSlot,
  INITIAL_ENDPOINT_SLOT,
  openSection,
  OverlayReader,
  OverlayWriter,
  PER_MILLE,
  Section,
  Verdict,
  World,
  type SigningMaterial,
} from "@meridian/snapshot";
import {
  writePolicies,
  writePools,
  ZoneWriter,
  type Binding,
  type EndpointInput,
  type PolicyInput,
  type PoolInput,
  type WrittenSection,
  type ZoneOptions,
} from "@meridian/snapshot/writer";
import { member, pool } from "@meridian/snapshot/testing";

/** A name bound in a test zone. */
export interface BoundName {
  readonly owner: string;
  readonly types: readonly number[];
  readonly binding: Binding;
}

/** One zone: a master file with absolute names, and what is bound in it. */
export interface TestZone {
  readonly origin: string;
  readonly text: string;
  readonly bound?: readonly BoundName[];
  readonly options?: ZoneOptions;
}

/** Everything a test server serves. */
export interface TestModel {
  readonly zones: readonly TestZone[];
  readonly pools?: readonly PoolInput[];
  readonly policies?: readonly PolicyInput[];
  /** Classifiers and location maps. */
  readonly sections?: readonly WrittenSection[];
}

export const SEED = 7;
export const HEALTHY: number = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 3);
export const UNHEALTHY: number = endpointSlot(
  Verdict.unhealthy,
  Admin.active,
  PER_MILLE,
  PER_MILLE,
  3,
);

export function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, `"${text}" is a name`);
  return name;
}

/** A member at 192.0.2.`last` and 2001:db8::`last`. */
export function testMember(
  name: string,
  last: number,
  more: Partial<EndpointInput> = {},
): EndpointInput {
  const ipv6 = new Uint8Array(16);
  ipv6.set([0x20, 0x01, 0x0d, 0xb8]);
  ipv6[15] = last;
  return member(name, last, { ipv6, ...more });
}

export function testPool(name: string, members: readonly EndpointInput[], answers = 0): PoolInput {
  return pool(name, members, { answers });
}

export function writeZone(zone: TestZone): WrittenSection[] {
  const writer = new ZoneWriter(wire(zone.origin), zone.options);
  const errors = parseMasterFile(zone.text, {
    origin: rootName,
    fileName: zone.origin,
    onRecord: (owner, type, ttl, rdata) => writer.addRecord(owner, type, ttl, rdata),
  });
  assert.deepEqual(errors, []);
  for (const { owner, types, binding } of zone.bound ?? [])
    writer.addBinding(wire(owner), types, binding);
  return writer.finish();
}

export function writeModel(model: TestModel): WrittenSection[] {
  return [
    writePools(model.pools ?? []),
    writePolicies(model.policies ?? []),
    ...(model.sections ?? []),
    ...model.zones.flatMap(writeZone),
  ];
}

export function loadModel(model: TestModel): World {
  const sections = writeModel(model).map(({ buffer }) => {
    const section = openSection(buffer);
    assert.ok(section instanceof Section);
    return section;
  });
  const world = World.load(sections, SEED);
  assert.ok(world instanceof World, "error" in world ? world.error : "");
  return world;
}

/** How a test asks. */
export interface AskOptions extends QueryOptions {
  readonly isTcp?: boolean;
  /** Client address; 4 or 16 bytes. Default 198.51.100.7. */
  readonly source?: Uint8Array;
  /** What the transport can send; default 65,535. */
  readonly outputMax?: number;
}

const defaultSource = Uint8Array.of(198, 51, 100, 7);
/** Bytes around what the handler may write, to see that it writes nothing there. */
const GUARD_BYTES = 64;
const GUARD = 0xa5;

/** A query path over a model, every endpoint healthy. */
export class TestServer {
  readonly world: World;
  readonly overlay: OverlayWriter;
  readonly counters: WorkerCounters = new WorkerCounters();
  readonly handler: QueryHandler;
  nowMs = 1_700_000_000_000;
  readonly #output = new Uint8Array(65_535 + 2 * GUARD_BYTES);

  constructor(model: TestModel | World, options: Partial<QueryHandlerOptions> = {}) {
    this.world = model instanceof World ? model : loadModel(model);
    const slots = this.world
      .initialSlots()
      .map((slot) => (slot === INITIAL_ENDPOINT_SLOT ? HEALTHY : slot));
    this.overlay = new OverlayWriter(slots);
    this.handler = new QueryHandler(this.served(1), {
      counters: this.counters,
      nowMs: () => this.nowMs,
      ...options,
    });
  }

  served(revision: number): ServedSnapshot {
    const reader = new OverlayReader(this.overlay.buffer, this.overlay.slotCount, 0);
    return new ServedSnapshot(revision, this.world, reader);
  }

  /** Signs zones from now on; what is told to `ahead`, too, of all that is served. Returns what the query path was told. */
  sign(materials: readonly SigningMaterial[], ahead?: AheadSigner): SigningMessage {
    const signing = new EdgeSigning(SILENT_LOGGER);
    signing.take(materials);
    const message = signing.message(1, this.world);
    assert.ok(message !== undefined);
    this.handler.sign(message);
    const { buffer: overlay, slotCount } = this.overlay;
    const { orders } = message;
    ahead?.serve({
      ...{ kind: "snapshot", revision: 1, world: this.world.share(), overlay, slotCount },
      ...(orders === undefined ? {} : { orders }),
    });
    ahead?.sign(message);
    return message;
  }

  /** Publishes one endpoint's new slot, and the new epoch of its pool. */
  setEndpoint(slot: number, value: number): void {
    const { poolEpochSlots, pools } = this.world;
    const epoch = poolEpochSlots + pools.poolOfEndpoint(slot);
    const changes = [
      { slot, value },
      { slot: epoch, value: this.overlay.read(epoch) + 1 },
    ];
    assert.ok(this.overlay.publish(changes));
  }

  /** The response to a packet; undefined for silence. Checks that nothing outside its range was written. */
  askBytes(packet: Uint8Array, options: AskOptions = {}): Uint8Array | undefined {
    const source = options.source ?? defaultSource;
    const outputMax = options.outputMax ?? 65_535;
    const output = this.#output.fill(GUARD);
    const family = source.length === 16 ? 6 : 4;
    const isTcp = options.isTcp ?? false;
    // Not at the beginning, so that absolute and message offsets cannot be mixed up unnoticed.
    const input = new Uint8Array(packet.length + 6);
    input.set(packet, 3);
    this.handler.beginBatch();
    const length = this.handler.handle(
      input,
      3,
      packet.length,
      output,
      GUARD_BYTES,
      outputMax,
      source,
      0,
      family,
      isTcp,
    );
    this.handler.endBatch();
    assert.ok(length >= 0 && length <= outputMax, `${length} bytes, at most ${outputMax}`);
    for (let index = 0; index < GUARD_BYTES; index++) {
      assert.equal(output[index], GUARD);
      assert.equal(output[GUARD_BYTES + outputMax + index], GUARD);
    }
    return length === 0 ? undefined : output.slice(GUARD_BYTES, GUARD_BYTES + length);
  }

  ask(name: string, type: number, options: AskOptions = {}): Message {
    const packet = encodeMessage(makeQuery(wire(name), type, { id: 0x1234, ...options }));
    const bytes = this.askBytes(packet, options);
    assert.ok(bytes !== undefined, "there is an answer");
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message), JSON.stringify(message));
    return message;
  }
}
