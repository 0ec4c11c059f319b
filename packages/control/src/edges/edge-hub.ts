// SPDX-License-Identifier: Apache-2.0

// What edges are sent, and what they say they serve. A revision goes out as its manifest and the whole slot table; every change set goes
// out at once, and the whole table again each second, so that an edge that missed something is whole again within that second and what
// is sent does not depend on what happens.

import {
  OverlayObserver,
  TABLE_MS,
  encodeChanges,
  encodeManifest,
  encodeManifestMessage,
  encodeTable,
  type Hello,
  type Manifest,
  type Position,
} from "@meridian/snapshot";
import type { ChangeSet } from "@meridian/health";
import type { Publication } from "../embedded-options.ts";

/** An edge that has more than this still to be sent gets nothing until it has not: the next table has it all. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

/** The stream to one edge, as the hub sees it. */
export interface EdgeStream {
  readonly backlogBytes: number;
  write(bytes: Uint8Array): void;
  end(): void;
}

/** One edge as `get edges` shows it. */
export interface EdgeView {
  readonly name: string;
  readonly connected: boolean;
  readonly revision: number | undefined;
  readonly sequence: number | undefined;
  /** Wall time of its last word; undefined for an edge that has said nothing since control began. */
  readonly lastWordMs: number | undefined;
  readonly version: string | undefined;
  readonly address: string | undefined;
}

interface KnownEdge {
  stream: EdgeStream | undefined;
  position: Position;
  lastWordMs: number;
  readonly version: string;
  readonly address: string;
  /** The manifest is still to be sent. */
  isBehind: boolean;
}

interface Served {
  readonly manifest: Manifest;
  readonly manifestMessage: Uint8Array;
  readonly overlay: OverlayObserver;
}

export class EdgeHub {
  readonly #edges = new Map<string, KnownEdge>();
  readonly #wallMs: () => number;
  #served: Served | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tellAll(), TABLE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const edge of this.#edges.values()) edge.stream?.end();
  }

  publish({ manifest, overlay, slotCount }: Publication): void {
    this.#served = {
      manifest,
      manifestMessage: encodeManifestMessage(encodeManifest(manifest)),
      overlay: new OverlayObserver(overlay, slotCount),
    };
    for (const edge of this.#edges.values()) edge.isBehind = true;
    this.#tellAll();
  }

  changed({ revision, sequence, changes }: ChangeSet): void {
    if (this.#served?.manifest.revision !== revision) return;
    const message = encodeChanges({ revision, sequence, changes });
    for (const edge of this.#edges.values()) if (!edge.isBehind) send(edge, message);
  }

  /** An edge has come; a stream that it had before is ended. */
  join(name: string, hello: Hello, stream: EdgeStream, address: string): void {
    this.#edges.get(name)?.stream?.end();
    const edge: KnownEdge = {
      stream,
      position: hello,
      lastWordMs: this.#wallMs(),
      version: hello.version,
      address,
      isBehind: true,
    };
    this.#edges.set(name, edge);
    const { overlay } = this.#served ?? {};
    if (overlay !== undefined) this.#tell(edge, this.#table());
  }

  acknowledge(name: string, stream: EdgeStream, position: Position): void {
    const edge = this.#edges.get(name);
    if (edge === undefined || edge.stream !== stream) return;
    edge.position = position;
    edge.lastWordMs = this.#wallMs();
  }

  leave(name: string, stream: EdgeStream): void {
    const edge = this.#edges.get(name);
    if (edge?.stream === stream) edge.stream = undefined;
  }

  /** All of `names` and those that have come, by name. */
  views(names: readonly string[]): EdgeView[] {
    const all = [...new Set([...names, ...this.#edges.keys()])].toSorted();
    return all.map((name) => {
      const edge = this.#edges.get(name);
      return {
        name,
        connected: edge?.stream !== undefined,
        revision: edge?.position.revision,
        sequence: edge?.position.sequence,
        lastWordMs: edge?.lastWordMs,
        version: edge?.version,
        address: edge?.address,
      };
    });
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
    if (edge.isBehind) stream.write(this.#served.manifestMessage);
    edge.isBehind = false;
    stream.write(table);
  }

  #table(): Uint8Array {
    if (this.#served === undefined) return new Uint8Array(0);
    const { manifest, overlay } = this.#served;
    const { sequence, slots } = overlay.moment();
    return encodeTable({ revision: manifest.revision, sequence, slots });
  }
}

function send({ stream }: KnownEdge, message: Uint8Array): void {
  if (stream !== undefined && stream.backlogBytes <= BACKLOG_BYTES_MAX) stream.write(message);
}
