// SPDX-License-Identifier: Apache-2.0

// A logged query asked again: the snapshot and the overlay of that moment are rebuilt from the state folder, and the answering code
// itself answers, with the clock held at the logged time. What comes out must be the logged bytes.

import type { OverlayJournal, SnapshotStore } from "@meridian/control";
import { parseIpv4, parseIpv6 } from "@meridian/dns";
import {
  QueryHandler,
  ServedSnapshot,
  ServerCookies,
  WorkerCounters,
  type QueryHandlerOptions,
} from "@meridian/edge";
import { NO_VIEW, OverlayReader, OverlayWriter, worldOf, type World } from "@meridian/snapshot";
import type { ReplayedLine } from "@meridian/snapshot/surface";

/** What was served of old. */
export interface ReplayPast {
  world(revision: number): World | string;
  /** The slots that had this revision and sequence, likeliest first: an edge may have had several. A text where none is kept. */
  states(world: World, revision: number, sequence: number, atMs: number): Uint32Array[] | string;
}

/** Where the past is kept, and what the server said of itself then (`nsid`, `identity`, `version`). */
export interface ReplaySources {
  readonly past: ReplayPast;
  readonly texts?: Pick<QueryHandlerOptions, "nsid" | "identity" | "version" | "keepaliveSeconds">;
}

/** The past of a control, or of `meridian up`. */
export function journalPast(store: SnapshotStore, journal: OverlayJournal): ReplayPast {
  return {
    world: (revision) => {
      const stored = store.loadOld(revision);
      return typeof stored === "string" ? stored : worldOf(stored.sections, stored.seed);
    },
    states: (world, revision, sequence) => {
      const past = journal.at({ revision, sequence });
      if (typeof past === "string") return past;
      if (past.last?.revision !== revision || past.last.sequence !== sequence)
        return `The journal does not hold change set ${sequence} of revision ${revision}`;
      const slots = world.initialSlots();
      for (const [key, value] of past.slots) {
        const slot = world.slotOfKey(key);
        if (slot >= 0) slots[slot] = value;
      }
      return [slots];
    },
  };
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
  /** Name of the view that was seen. */
  readonly view: string | undefined;
}

const UDP_BYTES_MAX = 1232;
const TCP_BYTES_MAX = 65_535;

/** Asks the query of a log line again. The reason as a text where the line cannot be read or the history does not reach. */
export function replayLine(line: string, sources: ReplaySources): ReplayedLine | string {
  return new Replayer(sources).replay(line);
}

/** Replays many lines; snapshots and overlays that were rebuilt are used again. */
export class Replayer {
  readonly #sources: ReplaySources;
  readonly #worlds = new Map<number, World | string>();
  #states:
    | { readonly revision: number; readonly sequence: number; readonly served: ServedSnapshot[] }
    | undefined;

  constructor(sources: ReplaySources) {
    this.#sources = sources;
  }

  replay(text: string): ReplayedLine | string {
    const line = parseLine(text);
    if (typeof line === "string") return line;
    const states = this.#statesOf(line);
    if (typeof states === "string") return states;
    const { answer: logged, isCut } = line;
    let first: ReplayedLine | undefined;
    for (const served of states) {
      const answer = this.#ask(served, line);
      if (typeof answer === "string") return answer;
      const isEqual = Buffer.compare(answer, logged) === 0;
      first ??= { answer, logged, isEqual, isCut };
      if (isEqual) return { answer, logged, isEqual, isCut };
    }
    return first ?? "Nothing is kept of that moment";
  }

  #ask(served: ServedSnapshot, line: Line): Uint8Array | string {
    const { world } = served;
    const view = line.view === undefined ? NO_VIEW : (world.views?.names.indexOf(line.view) ?? -1);
    if (line.view !== undefined && view < 0)
      return `Revision ${line.revision} has no view "${line.view}"`;
    const viewed = world.zonesOf(view);
    const handler = new QueryHandler(served, {
      ...this.#sources.texts,
      counters: new WorkerCounters(),
      // The log has zeros in place of cookies.
      cookies: new ServerCookies([]),
      nowMs: () => line.timeMs,
      // The line says which view was seen: by whole address, and by key.
      ignoresViews: true,
    });
    handler.lastQuery.zones = viewed;
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
    return output.slice(0, bytes);
  }

  /** Snapshot with each overlay of a moment's name, or why they cannot be had. */
  #statesOf({ revision, sequence, timeMs }: Line): ServedSnapshot[] | string {
    const known = this.#states;
    if (known?.revision === revision && known.sequence === sequence) return known.served;
    const world = this.#world(revision);
    if (typeof world === "string") return world;
    const states = this.#sources.past.states(world, revision, sequence, timeMs);
    if (typeof states === "string") return states;
    const served = states.map((slots) => {
      const overlay = new OverlayWriter(slots, sequence);
      const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
      return new ServedSnapshot(revision, world, reader);
    });
    this.#states = { revision, sequence, served };
    return served;
  }

  #world(revision: number): World | string {
    const known = this.#worlds.get(revision);
    if (known !== undefined) return known;
    const world = this.#sources.past.world(revision);
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
    view: words("view") === "" ? undefined : words("view"),
  };
}
