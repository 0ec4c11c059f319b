// SPDX-License-Identifier: Apache-2.0

// The connection of a vantage to one control, for reports alone: every control judges, so each of them is reported to, whichever one an
// edge follows. Dialled out, and dialled anew whenever it ends or falls silent.

import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { reasonOf } from "@meridian/core";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  LinkPath,
  SILENCE_MS_MAX,
  decodeVantagePlan,
  encodeFrame,
  encodeVantageHello,
  type Frame,
  type VantagePlan,
} from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import type { EdgeIdentity } from "../link/edge-identity.ts";
import type { FetchSection } from "../link/edge-replica.ts";
import { dial } from "../link/exchange.ts";
import { fetchSection } from "../link/fetch-section.ts";

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5000;
const REFUSAL_BYTES_MAX = 4096;
/** A control that takes less than it is sent hears the next table when it has caught up. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

export interface ReportLinkOptions {
  readonly url: string;
  readonly identity: () => EdgeIdentity;
  readonly version: string;
  readonly site: string;
  readonly logger: EdgeLogger;
  /** Control takes reports from now on. */
  readonly onOpen: () => void;
  /** Control has sealed this to the certificate that the connection has shown. */
  readonly onSecrets: (sealed: Uint8Array, identity: EdgeIdentity) => void;
  readonly onPlan: (message: VantagePlan, fetch: FetchSection) => void;
}

export class ReportLink {
  readonly #options: ReportLinkOptions;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS_MIN;
  #lastReason = "";
  #isClosed = false;
  /** Payload bytes of reports that were sent. */
  sentBytes = 0;

  constructor(options: ReportLinkOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#isClosed) this.#dial();
  }

  report(payload: Uint8Array): void {
    const stream = this.#stream;
    if (stream?.writable !== true || stream.writableLength > BACKLOG_BYTES_MAX) return;
    this.sentBytes += payload.length;
    stream.write(encodeFrame({ kind: FrameKind.reports, payload }));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#session?.destroy();
  }

  #dial(): void {
    const { url } = this.#options;
    const identity = this.#options.identity();
    const session = dial(url, { kind: "edge", identity });
    this.#session = session;
    let reason = "control ended it";
    session.on("error", (error: unknown) => {
      reason = reasonOf(error);
    });
    session.setTimeout(SILENCE_MS_MAX, () => session.destroy(new Error("control says nothing")));
    session.on("close", () => this.#ended(reason));
    session.on("connect", () => this.#open(session, identity, (why) => (reason = why)));
  }

  #open(session: ClientHttp2Session, identity: EdgeIdentity, tell: (reason: string) => void): void {
    const { version, site } = this.#options;
    const stream = session.request(
      { ":method": "POST", ":path": LinkPath.vantage },
      { endStream: false },
    );
    const decoder = new FrameDecoder([FrameKind.plan, FrameKind.secrets]);
    let refusal: string | undefined;
    stream.on("response", (headers) => {
      if (headers[":status"] === 200) this.#opened(stream);
      else refusal = "";
    });
    stream.on("data", (chunk: Buffer) => {
      if (refusal !== undefined) {
        refusal = (refusal + chunk.toString("utf8")).slice(0, REFUSAL_BYTES_MAX);
        return;
      }
      const frames = decoder.push(chunk);
      const wrong =
        typeof frames === "string"
          ? frames
          : frames.every((frame) => this.#take(session, identity, frame))
            ? undefined
            : "a plan is malformed";
      if (wrong === undefined) return;
      tell(wrong);
      session.destroy();
    });
    stream.on("error", (error) => tell(error.message));
    stream.on("end", () => {
      if (refusal !== undefined) tell(`control refuses this vantage: ${refusal}`);
    });
    stream.on("close", () => session.destroy());
    stream.write(encodeVantageHello({ protocol: LINK_PROTOCOL, version, site }));
  }

  #opened(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    this.#retryMs = RETRY_MS_MIN;
    this.#lastReason = "";
    this.#options.logger.info("Reporting to control", { url: this.#options.url });
    this.#options.onOpen();
  }

  #take(session: ClientHttp2Session, identity: EdgeIdentity, { kind, payload }: Frame): boolean {
    if (kind === FrameKind.secrets) {
      this.#options.onSecrets(payload, identity);
      return true;
    }
    const message = decodeVantagePlan(payload);
    if (message === undefined) return false;
    this.#options.onPlan(message, (name, bytes) => fetchSection(session, name, bytes));
    return true;
  }

  #ended(reason: string): void {
    this.#stream = undefined;
    this.#session = undefined;
    if (this.#isClosed) return;
    const { logger, url } = this.#options;
    // Once: a control that is gone for a day would fill the log.
    if (reason !== this.#lastReason) logger.warn("Cannot report to control", { url, reason });
    this.#lastReason = reason;
    const pauseMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    this.#timer = setTimeout(() => this.#dial(), pauseMs);
  }
}
