// SPDX-License-Identifier: Apache-2.0

// Keeps a copy of control's documents in the edge's state folder. Nothing here reads it: it is what a lost control is made anew from
// (docs/guides/disaster.md).

import {
  createWriteStream,
  existsSync,
  openSync,
  readSync,
  closeSync,
  renameSync,
  rmSync,
} from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { reasonOf } from "@meridian/core";
import { LinkPath } from "@meridian/snapshot";
import { syncPath } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";
import type { EdgeIdentity } from "./edge-identity.ts";
import { dial } from "./exchange.ts";

const FILE = "control-copy.jsonl";
const PERIOD_MS = 60_000;
const FIRST_MS = 5000;
const SILENCE_MS_MAX = 30_000;
const COPY_BYTES_MAX = 4 * 1024 ** 3;
/** Of the first line, which names the state that a copy is of. */
const START_BYTES_MAX = 4096;

export interface ControlCopyOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly identity: () => EdgeIdentity;
  readonly logger: EdgeLogger;
  /** First look after the start, in milliseconds. */
  readonly firstMs?: number;
}

export class ControlCopy {
  readonly #options: ControlCopyOptions;
  readonly #path: string;
  #timer: NodeJS.Timeout | undefined;
  #session: ClientHttp2Session | undefined;
  #isClosed = false;
  #lastReason = "";

  constructor(options: ControlCopyOptions) {
    this.#options = options;
    this.#path = join(options.stateFolder, FILE);
  }

  start(): void {
    this.#again(this.#options.firstMs ?? FIRST_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#session?.destroy();
  }

  #again(ms: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      void this.#renew().finally(() => this.#again(PERIOD_MS * (0.75 + Math.random() / 2)));
    }, ms).unref();
  }

  /** From the first control that gives it. Never rejects: what is missed is fetched the next time. */
  async #renew(): Promise<void> {
    const { controls, logger } = this.#options;
    let reason = "";
    for (const url of controls) {
      if (this.#isClosed) return;
      try {
        await this.#fetch(url);
        this.#lastReason = "";
        return;
      } catch (error) {
        reason = reasonOf(error);
      }
    }
    // Once: a control that is gone for a day would fill the log.
    if (reason !== this.#lastReason && !this.#isClosed)
      logger.warn("Cannot renew the copy of control's documents", { reason });
    this.#lastReason = reason;
  }

  async #fetch(url: string): Promise<void> {
    const session = dial(url, { kind: "edge", identity: this.#options.identity() });
    this.#session = session;
    const failed = Promise.withResolvers<never>();
    session.on("error", failed.reject);
    session.setTimeout(SILENCE_MS_MAX, () => session.destroy(new Error("no answer in time")));
    try {
      await Promise.race([this.#take(session), failed.promise]);
    } finally {
      session.destroy();
      this.#session = undefined;
    }
  }

  async #take(session: ClientHttp2Session): Promise<void> {
    const had = tagOf(this.#path);
    const stream = session.request({
      ":path": LinkPath.copy,
      ...(had === undefined ? {} : { "if-none-match": had }),
    });
    const answered = Promise.withResolvers<{ status: number; bytes: number }>();
    stream.on("response", (headers) =>
      answered.resolve({
        status: headers[":status"] ?? 0,
        bytes: Number(headers["content-length"] ?? Number.NaN),
      }),
    );
    stream.on("error", answered.reject);
    const { status, bytes } = await answered.promise;
    if (status === 304) return;
    if (status !== 200) throw new Error(`control answers ${status}`);
    if (!(bytes <= COPY_BYTES_MAX))
      throw new Error(`the copy has ${bytes} bytes, expected at most ${COPY_BYTES_MAX}`);
    const temporary = `${this.#path}.new`;
    try {
      const file = createWriteStream(temporary, { mode: 0o600, flush: true });
      await pipeline(stream, exactly(bytes), file);
      renameSync(temporary, this.#path);
      syncPath(this.#options.stateFolder);
    } finally {
      rmSync(temporary, { force: true });
    }
  }
}

/** Passes so many bytes on, and fails at any other end. */
function exactly(bytes: number): Transform {
  let at = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      at += chunk.length;
      if (at > bytes) done(new Error(`the copy has more than ${bytes} bytes`));
      else done(undefined, chunk);
    },
    flush(done) {
      done(at === bytes ? undefined : new Error(`the copy ends after ${at} bytes of ${bytes}`));
    },
  });
}

/** The tag of the copy at `path`, as control gives it; undefined where there is none that can be read. */
function tagOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const handle = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(START_BYTES_MAX);
    const [line] = bytes.toString("utf8", 0, readSync(handle, bytes)).split("\n");
    const start: unknown = JSON.parse(line ?? "");
    if (typeof start !== "object" || start === null) return undefined;
    const [storeId, epoch, revision] = ["storeId", "epoch", "revision"].map((name): unknown =>
      Reflect.get(start, name),
    );
    return `"${String(storeId)}.${String(epoch)}.${String(revision)}"`;
  } catch {
    return undefined;
  } finally {
    closeSync(handle);
  }
}
