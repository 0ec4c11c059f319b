// SPDX-License-Identifier: Apache-2.0

// Keeps what edges are sent in step with Cells. The control that leads places tenants and zones and records where they are; every control
// sends its edges by what is recorded.

import { reasonOf } from "@meridian/core";
import { World, type SharedWorld } from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { EdgeView } from "../edges/edge-hub.ts";
import type { Withheld } from "../edges/revision-lane.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import type { Lease } from "../store/store.ts";
import {
  EVERY_EDGE,
  decodeAssignment,
  encodeAssignment,
  noAssignment,
  stepAssignment,
  withheldFrom,
  type Assignment,
  type WantedCells,
} from "./assignment.ts";
import { largestOverlap, type Placement } from "./place-shards.ts";
import { CellReader } from "./wanted-cells.ts";

/** Its name in the store. */
const NAME = "edges";
/** Largest assignment that is recorded; a value of etcd has 1.5 MiB. */
const TEXT_LENGTH_MAX = 1_000_000;
/** How often it is asked what edges serve, while some zone is about to leave one. */
const ASK_MS = 1000;

/** Who leads: under which lease it writes, where there are several controls. */
export type Leading =
  | { readonly lease?: Pick<Lease, "term"> & { readonly name: string } }
  | undefined;

export interface CellKeeperOptions {
  readonly state: StateDocuments;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** What was published last. */
  readonly world: () => SharedWorld | undefined;
  /** The hash of what an edge is to serve. */
  readonly wantedHash: (edge: string) => string | undefined;
  /** Edges of all controls. */
  readonly edges: () => Promise<readonly EdgeView[]>;
  readonly setWithheld: (withheld: Withheld) => void;
  readonly logger: Logger;
  readonly wallMs: () => number;
}

/** A tenant or zone of a Cell, as `get shards` shows it. */
export interface ShardView {
  /** `CELL/KIND/NAME`. */
  readonly name: string;
  readonly cell: string;
  /** `tenant/NAME` or `zone/ORIGIN`. */
  readonly unit: string;
  /** That serve it; none while it is to be placed. */
  readonly edges: readonly string[];
  /** Host names that parents of its zones delegate to, of the edges that have one. */
  readonly nameServers: readonly string[];
  /** Of all of its zones: edges that go on serving some for a while, `*` for all. */
  readonly leaving: readonly string[];
  /** How many zones it has. */
  readonly zones: number;
  /** The most edges that two of its Cell have in common now. */
  readonly overlap: number;
}

/** What was last looked at. */
interface Seen {
  readonly set: DocumentSet;
  readonly hasCells: boolean;
  readonly world: SharedWorld | undefined;
  /** Of the zones of the world; undefined while nobody needs them. */
  readonly origins: readonly string[] | undefined;
}

export class CellKeeper {
  readonly #options: CellKeeperOptions;
  readonly #reader = new CellReader();
  #seen: Seen | undefined;
  #wanted: WantedCells = { cells: [], zones: new Map() };
  #text = "";
  #assignment = noAssignment;
  #askedAtMs = -Infinity;
  #full = "";
  #isStepping = false;
  #isDue = true;
  #led = false;

  constructor(options: CellKeeperOptions) {
    this.#options = options;
  }

  /** To be called several times a second: it looks whether there is anything to do. */
  tick(): void {
    const { state, leading } = this.#options;
    const before = this.#seen;
    const set = state.documents;
    const isNew = before?.set !== set;
    if (isNew) this.#follow();
    const hasCells = isNew ? !set.ofKind("Cell").next().done : before.hasCells;
    const isIdle = !hasCells && this.#assignment.units.size === 0;
    const world = isIdle ? undefined : this.#options.world();
    const isSame = before?.world === world && before?.origins !== undefined;
    const origins = isIdle ? undefined : isSame ? before.origins : originsOf(world);
    this.#seen = { set, hasCells, world, origins };
    if (isNew || !isSame) this.#wanted = this.#reader.read(set, origins ?? []);
    // Who begins to lead looks, too.
    const leads = leading() !== undefined;
    this.#isDue ||= isNew || !isSame || leads !== this.#led;
    this.#led = leads;
    if (isIdle || !leads || this.#isStepping) return;
    if (!this.#isDue && (this.#assignment.leaving.size === 0 || !this.#mayAsk())) return;
    this.#isStepping = true;
    this.#isDue = false;
    // Zones that have come since were served by nobody before.
    this.#step(new Set(before?.origins ?? origins))
      .catch((error: unknown) => {
        this.#isDue = true;
        const reason = reasonOf(error);
        this.#options.logger.warn({ reason }, "Cannot place tenants and zones on edges");
      })
      .finally(() => {
        this.#isStepping = false;
      });
  }

  /** Every tenant and zone of a Cell; of one zone alone where its origin is given. */
  views(origin?: string): ShardView[] {
    const { cells, zones } = this.#wanted;
    const { units, leaving } = this.#assignment;
    return cells.flatMap(({ cell, units: own }) => {
      const placed: Placement = new Map(own.map((unit) => [unit, units.get(unit) ?? []]));
      const overlap = largestOverlap(placed);
      return own.flatMap((unit): ShardView[] => {
        const origins = [...zones].flatMap(([each, of]) => (of === unit ? [each] : []));
        const meant = origin === undefined ? origins : origins.filter((each) => each === origin);
        if (origin !== undefined && meant.length === 0) return [];
        const edges = placed.get(unit) ?? [];
        const left = new Set(meant.flatMap((each) => leaving.get(each)?.edges ?? []));
        const name = `${cell.metadata.name}/${unit}`;
        return [
          {
            ...{ name, cell: cell.metadata.name, unit, edges, overlap },
            nameServers: cell.spec.edges.flatMap(({ name: edge, nameServer }) =>
              nameServer !== undefined && edges.includes(edge) ? [nameServer] : [],
            ),
            leaving: left.has(EVERY_EDGE) ? [EVERY_EDGE] : [...left].toSorted(),
            zones: origins.length,
          },
        ];
      });
    });
  }

  /** The Cell that an edge is in. */
  cellOf(edge: string): string | undefined {
    return this.#wanted.cells.find(({ cell }) => cell.spec.edges.some(({ name }) => name === edge))
      ?.cell.metadata.name;
  }

  /** Sends edges by what is recorded. */
  #follow(): void {
    const text = this.#options.state.get("Shards", NAME)?.text ?? "";
    if (text === this.#text) return;
    this.#text = text;
    const assignment = text === "" ? noAssignment : decodeAssignment(text);
    this.#assignment = assignment;
    const cache = new Map<string, readonly string[]>();
    this.#options.setWithheld((edge) => {
      const known = cache.get(edge) ?? withheldFrom(assignment, edge);
      cache.set(edge, known);
      return known;
    });
  }

  async #step(served: ReadonlySet<string>): Promise<void> {
    const { state, leading, wallMs, logger } = this.#options;
    const before = this.#assignment;
    const wanted = this.#wanted;
    const settled = await this.#settled(before);
    const { assignment, full } = stepAssignment(before, {
      ...wanted,
      ...{ served, settled, nowMs: wallMs() },
    });
    this.#tellFull(full);
    const text = encodeAssignment(assignment);
    const leads = leading();
    if (text === this.#text || leads === undefined || before !== this.#assignment) return;
    if (text.length > TEXT_LENGTH_MAX)
      throw new RangeError(`it has ${text.length} characters, expected at most ${TEXT_LENGTH_MAX}`);
    const ifRevision = state.get("Shards", NAME)?.revision ?? 0;
    const write = { kind: "Shards", name: NAME, text, ifRevision } as const;
    if (await state.write([write], "shards", {}, leads.lease)) {
      logger.info(
        {
          units: assignment.units.size,
          zones: assignment.zones.size,
          leaving: assignment.leaving.size,
        },
        "Placed tenants and zones on edges",
      );
    }
    this.#follow();
  }

  /** Edges that serve all that they are to serve; nobody is asked where nothing leaves. */
  async #settled({ leaving }: Assignment): Promise<ReadonlySet<string>> {
    const { edges, wantedHash, wallMs } = this.#options;
    if (leaving.size === 0 || !this.#mayAsk()) return new Set();
    this.#askedAtMs = wallMs();
    const views = await edges();
    return new Set(
      views.flatMap(({ name, connected, hash }) =>
        connected && hash !== undefined && hash === wantedHash(name) ? [name] : [],
      ),
    );
  }

  /** Clocks may go back. */
  #mayAsk(): boolean {
    return Math.abs(this.#options.wallMs() - this.#askedAtMs) >= ASK_MS;
  }

  #tellFull(full: readonly string[]): void {
    const text = full.join(", ");
    if (text !== "" && text !== this.#full)
      this.#options.logger.error(
        { cells: full },
        "There is no room in a Cell for all that it is to serve",
      );
    this.#full = text;
  }
}

/** In lower case, without the last dot. */
function originsOf(world: SharedWorld | undefined): readonly string[] {
  if (world === undefined) return [];
  return World.open(world).zones.zones.map(({ name }) =>
    name.toLowerCase().replace(/\.(?=@|$)/, ""),
  );
}
