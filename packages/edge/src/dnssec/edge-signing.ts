// SPDX-License-Identifier: Apache-2.0

// Signing in the thread that publishes to the workers: what they are told, and the order of the names of signed zones, which is worked
// out once for all of them and kept for what did not change.

import { Worker } from "node:worker_threads";
import { reasonOf } from "@meridian/core";
import { loadNative } from "@meridian/native";
import {
  Denial,
  hashZone,
  orderZone,
  parseSigningMaterial,
  SigningMaterials,
  type LoadedZone,
  type NamesChunk,
  type OrderedZone,
  type SigningMaterial,
  type World,
  type ZoneTable,
} from "@meridian/snapshot";
import type { ExplainQuestion, ExplainSigning } from "@meridian/snapshot/surface";
import type { EdgeLogger } from "../edge-logger.ts";
import type { SnapshotMessage } from "../handler.ts";
import { PresignedOrders } from "../presigned/presigned-orders.ts";
import { ASKED_BYTES } from "./asked-names.ts";
import { makeSignatures, type SharedSignatures } from "./signature-table.ts";
import { explainSigning, type SigningView } from "./signing-explanation.ts";
import { signedSecondsOf, signingKeysOf } from "./signed-zone.ts";
import type { SigningMessage, ZoneOrders } from "./signed-answers.ts";

const HEAP_MB_MAX = 512;
const SIGNATURE_BYTES_MIN = 64;
/** Clocks of an edge and of control may be that far apart: what TSIG allows (RFC 8945 §5.2.3). */
const BEHIND_SECONDS_MAX = 300;
/**
 * Places for names of signed zones from which on signatures have huge pages: they lie so scattered that all of the table is taken by then
 * anyway, and a worker that finds one walks through page tables in vain. (100,000 names, in process: 1.52 instead of 1.76 µs a query.)
 */
const PLACES_FOR_HUGE_PAGES = 32_768;

export class EdgeSigning {
  #materials = new SigningMaterials([]);
  #signatures: SharedSignatures | undefined;
  /** The table that lies in huge pages. */
  #inHugePages: SharedArrayBuffer | undefined;
  readonly #asked = new SharedArrayBuffer(ASKED_BYTES);
  readonly #logger: EdgeLogger;
  #ordered = new Map<string, OrderedZone>();
  readonly #presigned = new PresignedOrders();
  #thread: Worker | undefined;
  #followed: SnapshotMessage | undefined;
  #isClosed = false;
  readonly #nowMs: () => number;

  constructor(logger: EdgeLogger, nowMs: () => number = Date.now) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** Takes the materials of all signed zones. Throws where a key cannot be read; nothing has changed then. */
  take(materials: readonly SigningMaterial[]): void {
    const keys = materials.flatMap(signingKeysOf);
    const bytes = Math.max(SIGNATURE_BYTES_MIN, ...keys.map((key) => key.signatureBytes));
    this.#materials = new SigningMaterials(materials);
    this.#lookAtClock(materials);
    if (this.#signatures === undefined || this.#signatures.signatureBytes < bytes)
      this.#signatures = makeSignatures(bytes);
  }

  /** Whoever signed these did so before now. */
  #lookAtClock(materials: readonly SigningMaterial[]): void {
    const behind = Math.max(0, ...materials.map(signedSecondsOf)) - this.#nowMs() / 1000;
    if (behind <= BEHIND_SECONDS_MAX) return;
    this.#logger.warn("The clock is behind: zones are signed by the time of control", {
      seconds: Math.round(behind),
    });
  }

  /** The same of texts (`encodeSigningMaterial()`); false, with a line in the log, where they cannot be used: what was, stays. */
  takeTexts(texts: Iterable<string>): boolean {
    const materials = [...texts].map(parseSigningMaterial);
    const read = materials.filter((material) => material !== undefined);
    try {
      if (read.length < materials.length) throw new TypeError("it is malformed");
      this.take(read);
      return true;
    } catch (error) {
      this.#logger.error("Cannot use what zones are signed with", { reason: reasonOf(error) });
      return false;
    }
  }

  /** Orders for the signed zones of a world that is about to be served; undefined where none is signed. */
  ordersOf({ zones }: World): ZoneOrders | undefined {
    if (this.#materials.all.length === 0 && !zones.zones.some(({ isPresigned }) => isPresigned))
      return undefined;
    const orders = new Map<number, Uint32Array>();
    const ordered = new Map<string, OrderedZone>();
    let firstChunk = 0;
    let places = 0;
    for (const zone of zones.zones) {
      const sections = zones.chunks.slice(firstChunk, firstChunk + zone.chunkCount);
      firstChunk += zone.chunkCount;
      const material = this.#materials.of(zone);
      if (material === undefined) {
        const own = zone.isPresigned ? this.#presigned.of(zone, sections) : undefined;
        if (own !== undefined) orders.set(zone.index, own);
        continue;
      }
      for (const { bucketMask } of chunksOf(zone)) places += bucketMask + 1;
      if (material.denial === Denial.compact) continue;
      const isHashed = material.denial === Denial.nsec3;
      const key = `${zone.key} ${material.denial}`;
      const before = this.#ordered.get(key);
      const order = (isHashed ? hashZone : orderZone)(zone, sections, before);
      ordered.set(key, order);
      orders.set(zone.index, order.words);
    }
    this.#ordered = ordered;
    this.#presigned.settle();
    if (places >= PLACES_FOR_HUGE_PAGES) this.#takeHugePages();
    return orders;
  }

  #takeHugePages(): void {
    const { own } = this.#signatures ?? {};
    if (own === undefined || this.#inHugePages === own) return;
    this.#inHugePages = own;
    const loaded = loadNative();
    if (loaded.kind === "loaded") loaded.native.adviseHugePages(new Uint8Array(own));
  }

  /** Has what is served signed ahead from now on, in a thread of its own, which is started when there is something to sign. */
  follow(message: SnapshotMessage): void {
    this.#followed = message;
    this.#thread?.postMessage(message);
    if (this.#thread === undefined && this.#materials.all.length > 0) this.#start(message);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.terminate();
  }

  #start(message: SnapshotMessage): void {
    if (this.#isClosed) return;
    const thread = new Worker(new URL("./signing-worker.ts", import.meta.url), {
      name: "signing",
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
    });
    this.#thread = thread;
    thread.unref();
    // Answers are signed when they are asked for then; the next revision starts another one.
    thread.on("error", (error) => {
      this.#thread = undefined;
      this.#logger.error("The thread that signs ahead ended", { reason: reasonOf(error) });
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    thread.postMessage(message);
  }

  /** How the zone of a question is signed, and whether the answer's signature is there; undefined where the zone is not signed. */
  explain(
    view: SigningView,
    question: ExplainQuestion,
    zones: ZoneTable = view.world.zones,
  ): ExplainSigning | undefined {
    if (this.#signatures === undefined || this.#materials.all.length === 0) return undefined;
    const message: SigningMessage = {
      kind: "signing",
      materials: this.#materials.all,
      signatures: this.#signatures,
      asked: this.#asked,
      revision: 0,
      orders: this.ordersOf(view.world),
    };
    return explainSigning(view, message, question, zones);
  }

  /** What workers are told; `world` is what they serve, of revision `revision`. Undefined where no zone was ever signed. */
  message(revision: number, world: World | undefined): SigningMessage | undefined {
    if (this.#signatures === undefined) return undefined;
    const message: SigningMessage = {
      kind: "signing",
      materials: this.#materials.all,
      signatures: this.#signatures,
      asked: this.#asked,
      revision,
      orders: world === undefined ? undefined : this.ordersOf(world),
    };
    if (
      this.#thread === undefined &&
      this.#followed !== undefined &&
      this.#materials.all.length > 0
    )
      this.#start(this.#followed);
    this.#thread?.postMessage(message);
    return message;
  }
}

function* chunksOf(zone: LoadedZone): Generator<NamesChunk> {
  for (let index = 0; index < zone.chunkCount; index++) yield zone.chunkAt(index);
}
