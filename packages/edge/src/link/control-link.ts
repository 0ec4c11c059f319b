// SPDX-License-Identifier: Apache-2.0

// The connection of an edge to a control: dialled out, and dialled anew, at the next of its controls, whenever it ends or falls silent.

import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { reasonOf } from "@meridian/core";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  TAKES_DISK,
  TAKES_HEADER,
  TAKES_TRAFFIC,
  TAKES_UNMOVED,
  LinkPath,
  SILENCE_MS_MAX,
  decodeCarried,
  decodeChanges,
  decodeGrant,
  decodeManifestText,
  decodeSentSection,
  decodeStage,
  decodeTable,
  encodeAcknowledgement,
  isTaken,
  encodeAnswerCounts,
  encodeDiskTrouble,
  encodeNotified,
  encodeHello,
  encodeLeaseRequest,
  encodeStatus,
  encodeTrafficCounts,
  type AnswerCounts,
  type DiskTrouble,
  type Frame,
  type Position,
  type StageStatus,
  type TrafficCounts,
  type UpdateAnswer,
} from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import { ControlChoice } from "./control-choice.ts";
import type { EdgeIdentity } from "./edge-identity.ts";
import type { EdgeFence } from "./edge-fence.ts";
import type { EdgeReplica, FetchSection } from "./edge-replica.ts";
import { dial } from "./exchange.ts";
import { fetchSection } from "./fetch-section.ts";
import { handOnUpdate } from "./hand-on-update.ts";

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5000;
const REFUSAL_BYTES_MAX = 4096;
/** A control that has an earlier revision than this edge is left after this: another one may have caught up. */
const BEHIND_MS_MAX = 3000;

export interface ControlLinkOptions {
  /** URLs of controls; one of them is enough. */
  readonly controls: readonly string[];
  readonly identity: () => EdgeIdentity;
  readonly version: string;
  readonly replica: EdgeReplica;
  readonly fence: Pick<EdgeFence, "begin" | "beforeSlots" | "granted" | "request">;
  readonly logger: EdgeLogger;
  /** The control at this URL has said something. */
  readonly onWord: (url: string) => void;
  /** A control is followed anew. */
  readonly onOpen: () => void;
  /** The control at this URL has said of all slots what they are, of the revision that is served here, and so they are. */
  readonly onTable: (url: string) => void;
  /** How it was answered since the last call. */
  readonly counts: () => AnswerCounts;
  /** Where clients were sent since the last call; asked for where control takes it. */
  readonly traffic?: () => TrafficCounts | undefined;
  /** What the disk does not take; asked for where control wants to be told. */
  readonly trouble?: () => DiskTrouble | undefined;
  /** Where DNS is answered here. */
  readonly dns: () => readonly string[];
  /** What routing controls are, as text of control. */
  readonly onControls?: (payload: Uint8Array) => void;
  /** What zones are signed with, all of it: sealed to `identity`, which the connection has shown. */
  readonly onSigning?: (sealed: Uint8Array, identity: EdgeIdentity) => void;
}

export class ControlLink {
  readonly #options: ControlLinkOptions;
  readonly #choice: ControlChoice;
  /** The control that is followed, or dialled. */
  #url = "";
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Since a control last took this edge. */
  #failures = 0;
  #behind: NodeJS.Timeout | undefined;
  #lastReason = "";
  #isClosed = false;
  #isPaused = false;
  #followed: string | undefined;
  /** The control that is followed wants to be told where clients were sent; one of an earlier version would end the stream. */
  #takesTraffic = false;
  #takesUnmoved = false;
  #takesDisk = false;
  /** What control was told of the disk, as text; empty for nothing. */
  #toldTrouble = "";
  #currentAtMs: number | undefined;
  /** The newest table of the control that is followed. */
  #table: (Pick<Position, "epoch" | "revision"> & { readonly atMs: number }) | undefined;
  readonly #current = Promise.withResolvers<void>();

  constructor(options: ControlLinkOptions) {
    this.#options = options;
    this.#choice = new ControlChoice(options.controls);
  }

  start(): void {
    if (!this.#isClosed) this.#dial();
  }

  /** URL of the control that has taken this edge; undefined while none has. */
  get followed(): string | undefined {
    return this.#followed;
  }

  /** When a control last said that what is served here is its newest, of `performance.now()`; undefined where none has. */
  get currentAtMs(): number | undefined {
    return this.#currentAtMs;
  }

  /** Resolves when a control has first said so. */
  get whenCurrent(): Promise<void> {
    return this.#current.promise;
  }

  /** Another process of this edge follows control from now on, unless `resume()` is called. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#timer);
    this.#session?.destroy();
  }

  /** The other process has gone. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#session === undefined) this.start();
  }

  /** What is served has changed: control is told. */
  acknowledge(): void {
    const stream = this.#stream;
    if (stream?.writable === true)
      stream.write(
        encodeAcknowledgement(this.#options.replica.acknowledgement, this.#takesUnmoved),
      );
    // The revision of a table may have been fetched only now.
    this.#look();
  }

  /** Says what is held of fenced panels, and asks for longer. */
  askLease(): void {
    const stream = this.#stream;
    const { request } = this.#options.fence;
    if (request !== undefined && stream?.writable === true)
      stream.write(encodeLeaseRequest(request));
  }

  /** A primary says that a zone has changed: control asks it. Without a control that is lost, and the zone waits for its time. */
  notified(zone: string): void {
    const stream = this.#stream;
    if (stream?.writable === true) stream.write(encodeNotified(zone));
  }

  /** Has control do a dynamic update; answers in any case. */
  handOn(packet: Uint8Array, client: string, view: string | undefined): Promise<UpdateAnswer> {
    const session = this.#followed === undefined ? undefined : this.#session;
    return handOnUpdate(session, packet, client, view);
  }

  /** A control says whether it knows what its store holds; one that does not is left where another does. */
  heardOfStore(url: string, isCurrent: boolean): void {
    const nowMs = performance.now();
    this.#choice.heard(url, isCurrent, nowMs);
    if (this.#choice.isWorse(this.#url, nowMs))
      this.#session?.destroy(new Error("control has lost its store, and another has not"));
  }

  /** A revision that control had checked here was found good or bad. */
  report(status: StageStatus): void {
    const stream = this.#stream;
    if (stream?.writable === true) stream.write(encodeStatus(status));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#behind);
    this.#session?.destroy();
  }

  #dial(): void {
    const identity = this.#options.identity();
    const url = this.#choice.next(performance.now());
    this.#url = url;
    const session = dial(url, { kind: "edge", identity });
    this.#session = session;
    let reason = "control ended it";
    session.on("error", (error: unknown) => {
      reason = reasonOf(error);
    });
    session.setTimeout(SILENCE_MS_MAX, () => session.destroy(new Error("control says nothing")));
    session.on("close", () => this.#ended(url, reason));
    session.on("connect", () => this.#open(session, url, identity, (why) => (reason = why)));
  }

  #open(
    session: ClientHttp2Session,
    url: string,
    identity: EdgeIdentity,
    tell: (reason: string) => void,
  ): void {
    const { replica, version, logger } = this.#options;
    // Another control may be of another version.
    this.#takesTraffic = false;
    this.#takesUnmoved = false;
    this.#takesDisk = false;
    this.#toldTrouble = "";
    const stream = session.request(
      {
        ":method": "POST",
        ":path": LinkPath.link,
      },
      { endStream: false },
    );
    const decoder = new FrameDecoder([
      FrameKind.manifest,
      FrameKind.table,
      FrameKind.carried,
      FrameKind.changes,
      FrameKind.stage,
      FrameKind.section,
      FrameKind.signing,
      FrameKind.grant,
      FrameKind.controls,
    ]);
    const fetch: FetchSection = (name, bytes) => fetchSection(session, name, bytes);
    let refusal: string | undefined;
    const fail = (reason: string): void => {
      tell(reason);
      session.destroy();
    };
    stream.on("response", (headers) => {
      if (headers[":status"] === 200) {
        this.#failures = 0;
        this.#followed = url;
        this.#takesTraffic = isTaken(headers[TAKES_HEADER], TAKES_TRAFFIC);
        this.#takesUnmoved = isTaken(headers[TAKES_HEADER], TAKES_UNMOVED);
        this.#takesDisk = isTaken(headers[TAKES_HEADER], TAKES_DISK);
        this.#lastReason = "";
        logger.info("Connected to control", { url });
      } else refusal = "";
    });
    stream.on("data", (chunk: Buffer) => {
      if (refusal !== undefined) {
        refusal = (refusal + chunk.toString("utf8")).slice(0, REFUSAL_BYTES_MAX);
        return;
      }
      this.#options.onWord(url);
      const frames = decoder.push(chunk);
      if (typeof frames === "string") fail(frames);
      else
        for (const frame of frames)
          if (frame.kind === FrameKind.signing) this.#options.onSigning?.(frame.payload, identity);
          else this.#take(frame, fetch, fail);
    });
    stream.on("error", (error) => tell(error.message));
    stream.on("end", () => {
      if (refusal !== undefined) tell(`control refuses this edge: ${refusal}`);
    });
    stream.on("close", () => session.destroy());
    replica.begin();
    this.#options.fence.begin();
    this.#table = undefined;
    this.#options.onOpen();
    const { epoch, revision, sequence } = replica.acknowledgement;
    stream.write(
      encodeHello({
        ...{ protocol: LINK_PROTOCOL, version, epoch, revision, sequence },
        ...{ takesSections: true, takesShifts: true, takesLeases: true, dns: this.#options.dns() },
      }),
    );
    this.#stream = stream;
  }

  #take({ kind, payload }: Frame, fetch: FetchSection, fail: (reason: string) => void): void {
    const { replica, logger } = this.#options;
    switch (kind) {
      case FrameKind.manifest: {
        const refused = replica.offer(decodeManifestText(payload), fetch);
        if (refused === undefined) {
          clearTimeout(this.#behind);
          this.#behind = undefined;
        } else {
          logger.error("Refused a revision", { reason: refused });
          this.#behind ??= setTimeout(() => fail(refused), BEHIND_MS_MAX);
        }
        return;
      }
      case FrameKind.table: {
        const table = decodeTable(payload);
        if (table === undefined) {
          fail("a table is malformed");
          return;
        }
        this.#options.fence.beforeSlots();
        this.#told(table, () => replica.takeTable(table, fetch));
        // With or without news: it is how control knows that the edge is there.
        this.acknowledge();
        this.askLease();
        this.#count();
        return;
      }
      case FrameKind.carried: {
        const carried = decodeCarried(payload);
        if (carried === undefined) fail("carried slots are malformed");
        else this.#told(carried, () => replica.takeCarried(carried, fetch));
        return;
      }
      case FrameKind.changes: {
        const changes = decodeChanges(payload);
        if (changes === undefined) fail("a change set is malformed");
        else replica.takeChanges(changes);
        return;
      }
      case FrameKind.stage: {
        const stage = decodeStage(payload);
        if (stage === undefined) fail("a stage is malformed");
        else replica.expect(stage);
        return;
      }
      case FrameKind.section: {
        const section = decodeSentSection(payload);
        if (section === undefined) fail("a section is malformed");
        else replica.takeSection(section);
        return;
      }
      case FrameKind.grant: {
        const grant = decodeGrant(payload);
        if (grant === undefined) fail("a grant is malformed");
        else this.#options.fence.granted(grant);
        return;
      }
      case FrameKind.controls:
        this.#options.onControls?.(payload);
        return;
      case FrameKind.lease:
      case FrameKind.status:
      case FrameKind.counts:
      case FrameKind.traffic:
      case FrameKind.notified:
      case FrameKind.disk:
      case FrameKind.hello:
      case FrameKind.acknowledgement:
      case FrameKind.reports:
      case FrameKind.plan:
      case FrameKind.secrets:
      case FrameKind.signing:
        fail("a message goes the wrong way");
        return;
    }
  }

  /** Control has said what it serves, with its slots. */
  #told({ epoch, revision }: Position, take: () => void): void {
    take();
    this.#table = { epoch, revision, atMs: performance.now() };
    if (this.#look()) this.#options.onTable(this.#url);
  }

  /** A table is of what control serves: where that is served here too, this edge is as new as that table. */
  #look(): boolean {
    const { position } = this.#options.replica;
    const table = this.#table;
    if (table?.epoch !== position.epoch || table.revision !== position.revision) return false;
    this.#currentAtMs = table.atMs;
    this.#current.resolve();
    return true;
  }

  #count(): void {
    const stream = this.#stream;
    if (stream?.writable !== true) return;
    stream.write(encodeAnswerCounts(this.#options.counts()));
    const traffic = this.#takesTraffic ? this.#options.traffic?.() : undefined;
    if (traffic !== undefined) stream.write(encodeTrafficCounts(traffic));
    if (this.#takesDisk) this.#tellTrouble(stream);
  }

  /** Once, and once more when it has ended, or is another one. */
  #tellTrouble(stream: ClientHttp2Stream): void {
    const trouble = this.#options.trouble?.();
    const text = trouble === undefined ? "" : `${trouble.what}: ${trouble.reason}`;
    if (text === this.#toldTrouble) return;
    this.#toldTrouble = text;
    stream.write(encodeDiskTrouble(trouble));
  }

  #ended(url: string, reason: string): void {
    this.#stream = undefined;
    this.#session = undefined;
    this.#followed = undefined;
    clearTimeout(this.#behind);
    this.#behind = undefined;
    if (this.#isClosed || this.#isPaused) return;
    // Once: a control that is gone for a day would fill the log.
    if (reason !== this.#lastReason)
      this.#options.logger.warn("Control is out of reach: answers go on as they are", {
        url,
        reason,
      });
    this.#lastReason = reason;
    // Each control is tried before the pause grows.
    const rounds = Math.floor(this.#failures++ / this.#options.controls.length);
    const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** rounds) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#dial(), pauseMs);
  }
}
