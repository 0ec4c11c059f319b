// SPDX-License-Identifier: Apache-2.0

// What edges are sent, and what they say they serve. A revision goes out as its manifest and the whole slot table; every change set goes
// out at once, and the whole table again each second, so that an edge that missed something is whole again within that second and what
// is sent does not depend on what happens.

import {
  OverlayObserver,
  encodeChanges,
  encodeManifest,
  encodeManifestMessage,
  encodeTable,
  isLater,
  type Hello,
  type Manifest,
  type Position,
} from "@meridian/snapshot";
import type { Clock } from "@meridian/core";
import type { ChangeSet } from "@meridian/health";
import type { Publication } from "../embedded-options.ts";
import {
  isFresh,
  publicationOf,
  type EdgeMoment,
  type PublicationView,
} from "./publication-state.ts";

/** An edge that has more than this still to be sent gets nothing until it has not: the next table has it all. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** Tables after which an edge that still serves another revision is sent the manifest again. */
const REPEAT_TABLES = 2;

/** The stream to one edge, as the hub sees it. */
export interface EdgeStream {
  readonly backlogBytes: number;
  write(bytes: Uint8Array): void;
  end(): void;
}

/** Whether an edge serves the newest revision; `silent` if nothing was heard of it for 3 s. */
export type EdgeStanding = "serving" | "behind" | "silent";

/** One edge as `get edges` shows it. */
export interface EdgeView {
  readonly name: string;
  readonly connected: boolean;
  readonly standing: EdgeStanding;
  readonly epoch: number | undefined;
  readonly revision: number | undefined;
  readonly sequence: number | undefined;
  /** Wall time of its last word; undefined for an edge that has said nothing since control began. */
  readonly lastWordMs: number | undefined;
  readonly version: string | undefined;
  readonly address: string | undefined;
  /** The control that it follows, where there are several. */
  readonly control?: string;
}

interface KnownEdge {
  stream: EdgeStream | undefined;
  position: Position;
  /** Wall time, to be shown. */
  lastWordMs: number;
  /** Of a clock that never goes back. */
  heardAtMs: number;
  readonly version: string;
  readonly address: string;
  /** Tables since the manifest was sent; undefined while that is still to be done. */
  tables: number | undefined;
}

interface Served {
  readonly manifest: Manifest;
  readonly manifestMessage: Uint8Array;
  readonly overlay: OverlayObserver;
}

export class EdgeHub {
  readonly #edges = new Map<string, KnownEdge>();
  readonly #clock: Clock;
  #served: Served | undefined;
  #mayServe = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called once in TABLE_MS. */
  tick(): void {
    this.#tellAll();
  }

  close(): void {
    for (const edge of this.#edges.values()) edge.stream?.end();
  }

  publish({ manifest, overlay, slotCount }: Publication): void {
    this.#served = {
      manifest,
      manifestMessage: encodeManifestMessage(encodeManifest(manifest)),
      overlay: new OverlayObserver(overlay, slotCount),
    };
    for (const edge of this.#edges.values()) edge.tables = undefined;
    this.#tellAll();
  }

  /** Whether there is anything to send. */
  get isServing(): boolean {
    return this.#served !== undefined && this.#mayServe;
  }

  /** With `false` all edges are sent away. */
  setServing(mayServe: boolean): void {
    this.#mayServe = mayServe;
    if (!mayServe) for (const edge of this.#edges.values()) edge.stream?.end();
  }

  changed({ revision, sequence, changes }: ChangeSet): void {
    if (this.#served?.manifest.revision !== revision) return;
    const { epoch } = this.#served.manifest;
    const message = encodeChanges({ epoch, revision, sequence, changes });
    for (const edge of this.#edges.values()) if (edge.tables !== undefined) send(edge, message);
  }

  /** An edge has come; a stream that it had before is ended. */
  join(name: string, hello: Hello, stream: EdgeStream, address: string): void {
    this.#edges.get(name)?.stream?.end();
    const edge: KnownEdge = {
      stream,
      position: hello,
      lastWordMs: this.#clock.wallMs(),
      heardAtMs: this.#clock.monotonicMs(),
      version: hello.version,
      address,
      tables: undefined,
    };
    this.#edges.set(name, edge);
    const { overlay } = this.#served ?? {};
    if (overlay !== undefined) this.#tell(edge, this.#table());
  }

  acknowledge(name: string, stream: EdgeStream, position: Position): void {
    const edge = this.#edges.get(name);
    if (edge === undefined || edge.stream !== stream) return;
    edge.position = position;
    edge.lastWordMs = this.#clock.wallMs();
    edge.heardAtMs = this.#clock.monotonicMs();
  }

  leave(name: string, stream: EdgeStream): void {
    const edge = this.#edges.get(name);
    if (edge?.stream === stream) edge.stream = undefined;
  }

  /** All of `names` and those that have come, by name. */
  views(names: readonly string[]): EdgeView[] {
    const newest = this.#served?.manifest.revision ?? 0;
    return this.#moments(names).map((moment) => {
      const { name } = moment;
      const edge = this.#edges.get(name);
      const isServing = moment.revision >= newest;
      return {
        name,
        connected: edge?.stream !== undefined,
        standing: !isFresh(moment) ? "silent" : isServing ? "serving" : "behind",
        epoch: edge?.position.epoch,
        revision: edge?.position.revision,
        sequence: edge?.position.sequence,
        lastWordMs: edge?.lastWordMs,
        version: edge?.version,
        address: edge?.address,
      };
    });
  }

  /** How far a revision has come at all of `names` and those that have come. */
  publication(revision: number, names: readonly string[]): PublicationView {
    return publicationOf(revision, this.#served?.manifest.revision ?? 0, this.#moments(names));
  }

  #moments(names: readonly string[]): EdgeMoment[] {
    const nowMs = this.#clock.monotonicMs();
    const all = [...new Set([...names, ...this.#edges.keys()])].toSorted();
    return all.map((name) => {
      const edge = this.#edges.get(name);
      return {
        name,
        revision: this.#revisionOf(edge),
        silentMs: edge === undefined ? Infinity : Math.round(nowMs - edge.heardAtMs),
      };
    });
  }

  /** As far as it counts now: one of an epoch before is before all revisions. */
  #revisionOf(edge: KnownEdge | undefined): number {
    if (edge === undefined || edge.position.epoch < (this.#served?.manifest.epoch ?? 0)) return 0;
    return edge.position.revision;
  }

  #tellAll(): void {
    if (this.#served === undefined || this.#edges.size === 0) return;
    const table = this.#table();
    for (const edge of this.#edges.values()) this.#tell(edge, table);
  }

  #tell(edge: KnownEdge, table: Uint8Array): void {
    const { stream } = edge;
    if (this.#served === undefined || stream === undefined) return;
    if (stream.backlogBytes > BACKLOG_BYTES_MAX) return;
    const { manifest, manifestMessage } = this.#served;
    // Once more to who has not taken it, as it may have been refused or lost: who is still fetching passes it over.
    const isLost = edge.tables === REPEAT_TABLES && isLater(manifest, edge.position);
    if (edge.tables === undefined || isLost) {
      stream.write(manifestMessage);
      edge.tables = 0;
    }
    edge.tables = Math.min(edge.tables + 1, REPEAT_TABLES);
    stream.write(table);
  }

  #table(): Uint8Array {
    if (this.#served === undefined) return new Uint8Array(0);
    const { manifest, overlay } = this.#served;
    const { sequence, slots } = overlay.moment();
    const { epoch, revision } = manifest;
    return encodeTable({ epoch, revision, sequence, slots });
  }
}

function send({ stream }: KnownEdge, message: Uint8Array): void {
  if (stream !== undefined && stream.backlogBytes <= BACKLOG_BYTES_MAX) stream.write(message);
}
