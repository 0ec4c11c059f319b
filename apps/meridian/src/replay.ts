// SPDX-License-Identifier: Apache-2.0

// A logged query asked again: the snapshot and the overlay of that moment are rebuilt from the state folder, and the answering code
// itself answers, with the clock held at the logged time. What comes out must be the logged bytes.

import { worldOf, type OverlayJournal, type SnapshotStore } from "@meridian/control";
import { parseIpv4, parseIpv6 } from "@meridian/dns";
import {
  QueryHandler,
  ServedSnapshot,
  WorkerCounters,
  type QueryHandlerOptions,
} from "@meridian/edge";
import { OverlayReader, OverlayWriter, type World } from "@meridian/snapshot";

/** Where the past is kept, and what the server said of itself then (`nsid`, `identity`, `version`). */
export interface ReplaySources {
  readonly store: SnapshotStore;
  readonly journal: OverlayJournal;
  readonly texts?: Pick<QueryHandlerOptions, "nsid" | "identity" | "version" | "keepaliveSeconds">;
}

/** What came of asking again. */
export interface Replay {
  readonly answer: Uint8Array;
  readonly logged: Uint8Array;
  readonly isEqual: boolean;
  /**
   * True where the decision looked at more of the client's address than the log keeps (a /32 of a `subnet` policy, say): the answer is then
   * that of the prefix's first address, and need not be equal.
   */
  readonly isCut: boolean;
}

/** The parts of a log line that replay needs. */
interface Line {
  readonly timeMs: number;
  readonly revision: number;
  readonly sequence: number;
  readonly isTcp: boolean;
  readonly client: Uint8Array;
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
  readonly isCut: boolean;
}

const UDP_BYTES_MAX = 1232;
const TCP_BYTES_MAX = 65_535;

/** Asks the query of a log line again. The reason as a text where the line cannot be read or the history does not reach. */
export function replayLine(line: string, sources: ReplaySources): Replay | string {
  return new Replayer(sources).replay(line);
}

/** Replays many lines; snapshots and overlays that were rebuilt are used again. */
export class Replayer {
  readonly #sources: ReplaySources;
  readonly #worlds = new Map<number, World | string>();
  #served: { readonly snapshot: ServedSnapshot; readonly sequence: number } | undefined;

  constructor(sources: ReplaySources) {
    this.#sources = sources;
  }

  replay(text: string): Replay | string {
    const line = parseLine(text);
    if (typeof line === "string") return line;
    const served = this.#serve(line.revision, line.sequence);
    if (typeof served === "string") return served;
    const handler = new QueryHandler(served, {
      ...this.#sources.texts,
      counters: new WorkerCounters(),
      nowMs: () => line.timeMs,
    });
    const output = new Uint8Array(line.isTcp ? TCP_BYTES_MAX : UDP_BYTES_MAX);
    handler.beginBatch();
    const bytes = handler.handle(
      line.query,
      0,
      line.query.length,
      output,
      0,
      output.length,
      line.client,
      0,
      line.client.length === 16 ? 6 : 4,
      line.isTcp,
    );
    handler.endBatch();
    const answer = output.slice(0, bytes);
    return {
      answer,
      logged: line.answer,
      isEqual: Buffer.compare(answer, line.answer) === 0,
      isCut: line.isCut,
    };
  }

  /** Snapshot and overlay of a moment, or why they cannot be had. */
  #serve(revision: number, sequence: number): ServedSnapshot | string {
    if (this.#served?.snapshot.revision === revision && this.#served.sequence === sequence)
      return this.#served.snapshot;
    const world = this.#world(revision);
    if (typeof world === "string") return world;
    const past = this.#sources.journal.at({ revision, sequence });
    if (typeof past === "string") return past;
    if (past.last?.revision !== revision || past.last.sequence !== sequence)
      return `The journal does not hold change set ${sequence} of revision ${revision}`;
    const slots = world.initialSlots();
    for (const [key, value] of past.slots) {
      const slot = world.slotOfKey(key);
      if (slot >= 0) slots[slot] = value;
    }
    const overlay = new OverlayWriter(slots, sequence);
    const snapshot = new ServedSnapshot(
      revision,
      world,
      new OverlayReader(overlay.buffer, overlay.slotCount, 0),
    );
    this.#served = { snapshot, sequence };
    return snapshot;
  }

  #world(revision: number): World | string {
    const known = this.#worlds.get(revision);
    if (known !== undefined) return known;
    const stored = this.#sources.store.loadOld(revision);
    const world = typeof stored === "string" ? stored : worldOf(stored.sections, stored.seed);
    this.#worlds.set(revision, world);
    return world;
  }
}

/** Reads one line of the query log. */
function parseLine(text: string): Line | string {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return "Line is no JSON, expected a line of the query log";
  }
  if (typeof raw !== "object" || raw === null)
    return "Line is no object, expected a line of the query log";
  const source: object = raw;
  const field = (name: string): unknown => Reflect.get(source, name);
  const words = (name: string): string => {
    const value = field(name);
    return typeof value === "string" ? value : "";
  };
  const timeMs = Date.parse(words("time"));
  const revision = field("revision");
  const sequence = field("sequence");
  const [address = ""] = words("client").split("/");
  const client = parseIpv4(address) ?? parseIpv6(address);
  const query = Buffer.from(words("query"), "hex");
  const isWhole =
    !Number.isNaN(timeMs) &&
    typeof revision === "number" &&
    typeof sequence === "number" &&
    client !== undefined &&
    query.length > 0;
  if (!isWhole)
    return "Line lacks one of time, revision, sequence, client and query, expected a line of the query log";
  return {
    timeMs,
    revision,
    sequence,
    isTcp: words("transport") === "tcp",
    client,
    query,
    answer: Buffer.from(words("answer"), "hex"),
    isCut: field("isCut") === true,
  };
}
