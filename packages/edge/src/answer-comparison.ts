// SPDX-License-Identifier: Apache-2.0

// A revision asks itself, before anybody else does: names of the one that is served and of the one that comes, through the answering
// code, over memory. What had an answer and would have none though it still exists, or would fail, speaks against it.
//
// The digest is of answers with every slot in its first state: equal for equal sections and equal software, whatever endpoints do.

import { createHash } from "node:crypto";
import { Rcode, formatName } from "@meridian/dns";
import { OverlayReader, OverlayWriter, sampleOwners, type World } from "@meridian/snapshot";
import { WorkerCounters } from "./counters.ts";
import { QueryHandler } from "./query-handler.ts";
import { ServedSnapshot } from "./query-state.ts";

/** Most names that are asked, of each of both revisions. */
export const COMPARED_NAMES_MAX = 400;
/** Names that a finding lists. */
const NAMED_MAX = 5;
/** A, AAAA, MX and TXT. */
const TYPES = [1, 28, 15, 16] as const;
const ANSWER_BYTES_MAX = 65_535;
/** 192.0.2.1, of the addresses for documentation: every edge asks as the same client, at the same time. */
const CLIENT = Uint8Array.of(192, 0, 2, 1);
const NOW_MS = 1_700_000_000_000;

/** A snapshot with its slots. */
export interface AskedPair {
  readonly world: World;
  readonly slots: Uint32Array;
}

/** How the answers of two revisions differ, in names. */
export interface AnswerComparison {
  readonly asked: number;
  /** With another answer of some type. */
  readonly changed: number;
  /** That existed and do not any more. */
  readonly removed: number;
  /** With answers before and none now, though they still exist; the first few of them. */
  readonly emptied: readonly string[];
  readonly emptiedCount: number;
  /** That would be answered with SERVFAIL now, and were not before. */
  readonly failed: readonly string[];
  readonly failedCount: number;
}

interface Answers {
  readonly bytes: readonly Uint8Array[];
  readonly isAnswered: boolean;
  readonly isFailed: boolean;
  readonly isGone: boolean;
}

/** Asks both revisions for some hundred names of each. */
export function compareAnswers(before: AskedPair, after: AskedPair): AnswerComparison {
  const [old, now] = [new Asker(before), new Asker(after)];
  let [changed, removed] = [0, 0];
  const [emptied, failed]: [string[], string[]] = [[], []];
  const names = sampledNames(before.world, after.world);
  for (const name of names) {
    const [was, is] = [old.ask(name), now.ask(name)];
    if (was.bytes.some((bytes, at) => Buffer.compare(bytes, is.bytes[at] ?? bytes) !== 0))
      changed += 1;
    if (is.isFailed && !was.isFailed) failed.push(formatName(name));
    else if (was.isAnswered && is.isGone) removed += 1;
    else if (was.isAnswered && !is.isAnswered) emptied.push(formatName(name));
  }
  return {
    asked: names.length,
    changed,
    removed,
    emptied: emptied.slice(0, NAMED_MAX),
    emptiedCount: emptied.length,
    failed: failed.slice(0, NAMED_MAX),
    failedCount: failed.length,
  };
}

/** What speaks against the later revision; undefined for nothing. */
export function objectionTo(found: AnswerComparison): string | undefined {
  const { emptied, emptiedCount, failed, failedCount } = found;
  if (failedCount > 0) return `SERVFAIL for ${listed(failed, failedCount)}`;
  if (emptiedCount > 0)
    return `no answers any more for ${listed(emptied, emptiedCount)}, which had some and still exist`;
  return undefined;
}

function listed(names: readonly string[], count: number): string {
  return `${names.join(", ")}${count > names.length ? ` and ${count - names.length} more` : ""}`;
}

/** Hex SHA-256 of what a snapshot answers while nothing is judged, for some hundred of its names. */
export function answersDigest(world: World): string {
  const asker = new Asker({ world, slots: world.initialSlots() });
  const hash = createHash("sha256");
  for (const name of sampleOwners(world, COMPARED_NAMES_MAX))
    for (const bytes of asker.ask(name).bytes) hash.update(bytes);
  return hash.digest("hex");
}

function sampledNames(before: World, after: World): Uint8Array[] {
  const count = (world: World): number =>
    world.zones.zones.reduce((sum, { ownerCount }) => sum + ownerCount, 0);
  // Of both the same share: else a name of the larger one would be missing from the other.
  const owners = Math.max(count(before), count(after));
  const all = [before, after].flatMap((world) => sampleOwners(world, COMPARED_NAMES_MAX, owners));
  return [...new Map(all.map((name) => [Buffer.from(name).toString("latin1"), name])).values()];
}

class Asker {
  readonly #handler: QueryHandler;
  readonly #output = new Uint8Array(ANSWER_BYTES_MAX);

  constructor({ world, slots }: AskedPair) {
    const overlay = new OverlayWriter(slots);
    const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
    this.#handler = new QueryHandler(new ServedSnapshot(0, world, reader), {
      counters: new WorkerCounters(),
      nowMs: () => NOW_MS,
    });
  }

  ask(name: Uint8Array): Answers {
    const bytes = TYPES.map((type) => this.#one(name, type));
    const rcodes = bytes.map((answer) => (answer[3] ?? 0) & 15);
    return {
      bytes,
      isAnswered: bytes.some(
        (answer, at) =>
          rcodes[at] === Rcode.NOERROR && ((answer[6] ?? 0) << 8) + (answer[7] ?? 0) > 0,
      ),
      isFailed: rcodes.includes(Rcode.SERVFAIL),
      isGone: rcodes.every((rcode) => rcode === Rcode.NXDOMAIN || rcode === Rcode.REFUSED),
    };
  }

  #one(name: Uint8Array, type: number): Uint8Array {
    const query = new Uint8Array(12 + name.length + 4);
    query.set([0, 0, 0, 0, 0, 1]);
    query.set(name, 12);
    query.set([0, type, 0, 1], 12 + name.length);
    const [handler, output] = [this.#handler, this.#output];
    handler.beginBatch();
    const bytes = handler.handle(
      query,
      0,
      query.length,
      output,
      0,
      output.length,
      CLIENT,
      0,
      4,
      true,
    );
    handler.endBatch();
    return output.slice(0, bytes);
  }
}
