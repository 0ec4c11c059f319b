// SPDX-License-Identifier: Apache-2.0

// An edge of the simulation: the replica that runs, its connection to control, and what must be true of all that it answers from.

import assert from "node:assert/strict";
import type { EdgeHub, EdgeStream } from "@meridian/control";
import type { Pcg32 } from "@meridian/core";
import { EdgeReplica, SILENT_LOGGER, type LoadedRevision } from "@meridian/edge";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  SILENCE_MS_MAX,
  decodeAcknowledgement,
  decodeCarried,
  decodeChanges,
  decodeManifestText,
  decodeSentSection,
  decodeStage,
  decodeStatus,
  decodeTable,
  encodeAcknowledgement,
  encodeStatus,
  type Manifest,
  type NamedSection,
  type Position,
} from "@meridian/snapshot";
import { below } from "./random-model.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { SimulatedWire, type Weather } from "./simulated-wire.ts";
import type { VirtualTime } from "./virtual-time.ts";

const RETRY_MS = 200;
/** Less than an edge waits, as here every second fetch among datagrams may be lost. */
const FETCH_MS_MAX = 1000;
const SYNC_MS_MAX = 100;
const FRAME_KINDS = [
  FrameKind.manifest,
  FrameKind.table,
  FrameKind.carried,
  FrameKind.changes,
  FrameKind.stage,
  FrameKind.section,
];

/** What an edge is in. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly random: Pcg32;
  /** The control that edges reach; undefined while it is down. */
  readonly hub: EdgeHub | undefined;
  /** What was ever published, by the hash of its manifest. */
  readonly loaded: ReadonlyMap<string, LoadedRevision>;
  /** What slots were (`slotsHash`), by `REVISION:SEQUENCE`. */
  readonly slots: ReadonlyMap<string, number>;
  /** What is sent to control is looked at once it runs again. */
  whenRunning(work: () => void): void;
  /** A section that control serves now. */
  section(name: string): SharedArrayBuffer | undefined;
  /** The bytes of a section as they were published. */
  published(name: string): SharedArrayBuffer | undefined;
  /** Revisions that nobody may serve. */
  readonly refused: ReadonlySet<number>;
  /** Takes note of what happened. */
  note(what: string, text: string): void;
  /** Takes note of what must not be. */
  check(isTrue: boolean, text: string): void;
}

interface Connection {
  readonly down: SimulatedWire;
  readonly up: SimulatedWire;
  readonly fetches: Map<number, (bytes: SharedArrayBuffer | Error) => void>;
  readonly stream: EdgeStream;
  heardAtMs: number;
  isOpen: boolean;
}

export class SimulatedEdge {
  readonly name: string;
  readonly #system: Surroundings;
  readonly #weather: Weather;
  readonly #disk: SimulatedDisk;
  #replica: EdgeReplica | undefined;
  #connection: Connection | undefined;
  /** Dials of an earlier life end here. */
  #life = 0;
  #fetches = 0;
  /** The newest revision that it has ever served and its disk kept. */
  #revisionMin = 0;
  /** The newest revision that it told control it has: a loss of power leaves that one at least. */
  #told = 0;
  #last: Position = { epoch: 0, revision: 0, sequence: 0 };
  /** When it began to serve the revision that it serves, virtual milliseconds. */
  servingSinceMs = 0;

  constructor(name: string, system: Surroundings, weather: Weather) {
    this.name = name;
    this.#system = system;
    this.#weather = weather;
    this.#disk = new SimulatedDisk(
      () => system.time.nowMs,
      () => this.#synced(),
    );
  }

  get position(): Position {
    return this.#replica?.position ?? { epoch: 0, revision: 0, sequence: 0 };
  }

  get isUp(): boolean {
    return this.#replica !== undefined;
  }

  start(): void {
    if (this.#replica !== undefined) return;
    this.#last = { epoch: 0, revision: 0, sequence: 0 };
    const life = this.#life;
    this.#replica = new EdgeReplica({
      state: this.#disk,
      logger: SILENT_LOGGER,
      // A process that died takes nothing any more, whatever it had fetched.
      load: (manifest, sections, before) =>
        life === this.#life ? this.#load(manifest, sections, before) : "the process is dead",
      serve: ({ revision }) => this.#serving(revision),
      onPosition: (position) => this.#answering(position),
      onSynced: () => this.#tell(),
      onChecked: (status) => this.#connection?.up.send(encodeStatus(status)),
      nowMs: () => this.#system.time.nowMs,
    });
    this.#replica.restore();
    this.#dial(life);
  }

  crash(): void {
    if (this.#replica === undefined) return;
    this.disconnect();
    this.#life += 1;
    this.#replica.close();
    this.#replica = undefined;
    const kind = this.#disk.crash(this.#system.random);
    if (kind === "power") this.#revisionMin = this.#told;
    if (kind === "disk") this.#revisionMin = 0;
    this.#told = Math.min(this.#told, this.#revisionMin);
  }

  /** The connection breaks; it is dialled anew. */
  disconnect(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.down.cut();
    connection.up.cut();
    this.#system.hub?.leave(this.name, connection.stream);
    for (const finish of connection.fetches.values()) finish(new Error("the connection is gone"));
    const life = this.#life;
    this.#system.time.after(RETRY_MS, () => this.#dial(life));
  }

  #dial(life: number): void {
    const { time, random } = this.#system;
    if (life !== this.#life || this.#connection !== undefined) return;
    const connection: Connection = {
      down: new SimulatedWire(time, random, this.#weather, (bytes) =>
        this.#hear(connection, bytes),
      ),
      up: new SimulatedWire(time, random, this.#weather, (bytes) =>
        this.#system.whenRunning(() => this.#heard(connection, bytes)),
      ),
      fetches: new Map(),
      stream: {
        get backlogBytes() {
          return connection.down.backlogBytes;
        },
        write: (bytes: Uint8Array) => connection.down.send(bytes),
        end: () => {},
      },
      heardAtMs: time.nowMs,
      isOpen: false,
    };
    this.#connection = connection;
    // TCP, then TLS 1.3: there and back twice.
    const handshakeMs = 2 * (connection.up.delayMs + connection.down.delayMs);
    time.after(handshakeMs + connection.up.delayMs, () =>
      this.#system.whenRunning(() => this.#joined(connection)),
    );
    this.#watch(connection);
  }

  #joined(connection: Connection): void {
    const replica = this.#replica;
    if (connection !== this.#connection || replica === undefined) return;
    replica.begin();
    // Sequences are of the control that is followed: one that lags may have earlier ones.
    this.#last = { ...this.#last, sequence: 0 };
    const { hub } = this.#system;
    const { epoch, revision, sequence } = replica.acknowledgement;
    const hello = {
      ...{ protocol: LINK_PROTOCOL, version: "0", epoch, revision, sequence },
      ...{ takesSections: true, takesShifts: true, takesLeases: false, dns: [] },
    };
    hub?.join(this.name, hello, connection.stream, "simulated");
    connection.isOpen = hub !== undefined;
    if (!connection.isOpen) this.disconnect();
  }

  /** A control that says nothing is left. */
  #watch(connection: Connection): void {
    this.#system.time.after(SILENCE_MS_MAX, () => {
      if (connection !== this.#connection) return;
      if (this.#system.time.nowMs - connection.heardAtMs >= SILENCE_MS_MAX) this.disconnect();
      else this.#watch(connection);
    });
  }

  /** Something of this edge has reached control. */
  #heard(connection: Connection, bytes: Uint8Array): void {
    if (connection !== this.#connection) return;
    const kinds = [FrameKind.acknowledgement, FrameKind.status];
    const frames = new FrameDecoder(kinds).push(bytes);
    assert.ok(typeof frames === "object", "an edge says what it may");
    for (const { kind, payload } of frames) {
      const status = kind === FrameKind.status ? decodeStatus(payload) : undefined;
      if (status !== undefined) {
        this.#system.hub?.report(this.name, connection.stream, status);
        continue;
      }
      const position = decodeAcknowledgement(payload);
      assert.ok(position !== undefined, "an acknowledgement is one");
      this.#system.hub?.acknowledge(this.name, connection.stream, position);
    }
  }

  #hear(connection: Connection, bytes: Uint8Array): void {
    const replica = this.#replica;
    if (connection !== this.#connection || replica === undefined) return;
    connection.heardAtMs = this.#system.time.nowMs;
    const frames = new FrameDecoder(FRAME_KINDS).push(bytes);
    assert.ok(typeof frames === "object", "control says what it may");
    const fetch = (name: string): Promise<SharedArrayBuffer> => this.#fetch(connection, name);
    for (const { kind, payload } of frames) {
      if (kind === FrameKind.manifest) replica.offer(decodeManifestText(payload), fetch);
      else if (kind === FrameKind.table) {
        const table = decodeTable(payload);
        assert.ok(table !== undefined, "a table is one");
        replica.takeTable(table, fetch);
        this.#tell();
      } else if (kind === FrameKind.carried) {
        const carried = decodeCarried(payload);
        assert.ok(carried !== undefined, "carried slots are such");
        replica.takeCarried(carried, fetch);
        this.#system.note("carried", this.name);
      } else if (kind === FrameKind.stage) {
        const stage = decodeStage(payload);
        assert.ok(stage !== undefined, "a stage is one");
        replica.expect(stage);
      } else if (kind === FrameKind.section) {
        const section = decodeSentSection(payload);
        assert.ok(section !== undefined, "a section is one");
        replica.takeSection(section);
      } else {
        const changes = decodeChanges(payload);
        assert.ok(changes !== undefined, "a change set is one");
        replica.takeChanges(changes);
      }
    }
  }

  /** There and back, as a request that may be lost; now and then its bytes come wrong. */
  #fetch(connection: Connection, name: string): Promise<SharedArrayBuffer> {
    const { time, random } = this.#system;
    const { promise, resolve, reject } = Promise.withResolvers<SharedArrayBuffer>();
    const id = this.#fetches++;
    connection.fetches.set(id, (found) => {
      connection.fetches.delete(id);
      if (found instanceof Error) reject(found);
      else resolve(found);
    });
    const finish = (found: SharedArrayBuffer | Error): void => connection.fetches.get(id)?.(found);
    const answer = new SimulatedWire(time, random, this.#weather, () => {
      const bytes = this.#system.section(name);
      if (bytes === undefined) finish(new Error("404"));
      else finish(below(random, 200) === 0 ? torn(bytes) : bytes);
    });
    const ask = new SimulatedWire(time, random, this.#weather, () =>
      this.#system.whenRunning(() => answer.send(new Uint8Array(1))),
    );
    ask.send(new Uint8Array(1));
    time.after(FETCH_MS_MAX, () => finish(new Error("it stopped coming")));
    return promise;
  }

  /** Loaded once for all edges. What each brings along has to be complete, and the very sections of the manifest. */
  #load(
    manifest: Manifest,
    sections: readonly NamedSection[],
    before: LoadedRevision | undefined,
  ): LoadedRevision {
    const isComplete =
      sections.length === manifest.sections.length &&
      manifest.sections.every(({ name }, at) => {
        const found = sections[at];
        const isHere =
          found?.buffer === undefined
            ? before?.pack.has(name) === true
            : isEqual(found.buffer, this.#system.published(name));
        return found?.name === name && isHere;
      });
    this.#system.check(isComplete, `${this.name} loads what is not whole`);
    const loaded = this.#system.loaded.get(manifest.hash);
    assert.ok(loaded !== undefined, "only what was published is loaded");
    return loaded;
  }

  #serving(revision: number): void {
    this.#system.check(
      revision >= this.#revisionMin,
      `${this.name} went back to revision ${revision}`,
    );
    // Among datagrams the word that it is to be checked may be lost.
    if (this.#weather.kind === "stream")
      this.#system.check(
        !this.#system.refused.has(revision),
        `${this.name} serves revision ${revision}, which is bad`,
      );
    if (revision > this.#revisionMin) this.servingSinceMs = this.#system.time.nowMs;
    this.#revisionMin = revision;
  }

  #answering(position: Position): void {
    const { revision, sequence } = position;
    const last = this.#last;
    const isLater =
      revision > last.revision || (revision === last.revision && sequence >= last.sequence);
    const here = `${this.name} at ${shown(position)}`;
    this.#system.check(isLater, `${here} went back from ${shown(last)}`);
    this.#last = position;
    // What an edge starts from may be of before: it is the newest that its disk has.
    if (this.#connection?.isOpen === true) {
      const slots = [...(this.#disk.mirror?.slots() ?? [])];
      const found = slotsHash(slots);
      const truth = this.#system.slots.get(`${revision}:${sequence}`);
      this.#system.check(found === truth, `${here} has slots that control had not`);
    }
    this.#tell();
  }

  #tell(): void {
    const said = this.#replica?.acknowledgement;
    if (said === undefined) return;
    this.#told = Math.max(this.#told, said.revision);
    this.#connection?.up.send(encodeAcknowledgement(said, true));
  }

  /** What a disk takes for a sync. */
  #synced(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { time, random } = this.#system;
    time.after(below(random, SYNC_MS_MAX), resolve);
    return promise;
  }
}

function isEqual(a: SharedArrayBuffer, b: SharedArrayBuffer | undefined): boolean {
  return b !== undefined && Buffer.compare(new Uint8Array(a), new Uint8Array(b)) === 0;
}

function torn(bytes: SharedArrayBuffer): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(buffer).set(new Uint8Array(bytes).subarray(0, bytes.byteLength - 4));
  return buffer;
}

function shown({ revision, sequence }: Position): string {
  return `${revision}:${sequence}`;
}

/** A hash of slots in the order of their revision. */
export function slotsHash(
  slots: Iterable<{ readonly low: number; readonly high: number; readonly value: number }>,
): number {
  let hash = 0;
  for (const { low, high, value } of slots)
    for (const word of [low, high, value])
      hash = Math.imul(hash ^ word ^ (hash >>> 15), 0x85eb_ca6b) >>> 0;
  return hash;
}
