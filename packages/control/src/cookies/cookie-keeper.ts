// SPDX-License-Identifier: Apache-2.0

// Keeps the secrets with which DNS cookies are made, so that every edge of a store takes the cookies of each other one: in the store, sealed,
// where there is one for edges, moved on by the leader; else in memory, for a process that answers alone.

import { randomBytes } from "node:crypto";
import { reasonOf } from "@meridian/core";
import type { Leading } from "../cells/cell-keeper.ts";
import { fieldsOf } from "../documents/document-key.ts";
import type { Logger } from "../embedded-options.ts";
import { sealOf, foreignKey, type KeyPlace } from "../state/sealing-key.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import { stepSecrets, type CookieSecret } from "./cookie-rotation.ts";

const TICK_MS = 1000;
const SECRET_BYTES = 16;
/** Its name in the store. */
const NAME = "edges";

export interface CookieKeeperOptions {
  /** undefined where secrets are in memory alone. */
  readonly state: StateDocuments | undefined;
  readonly keyPlace: KeyPlace;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** Secrets of 16 bytes, in hexadecimal digits; the first makes cookies, each is taken. */
  readonly onSecrets: (secrets: readonly string[]) => void;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

export class CookieKeeper {
  readonly #options: CookieKeeperOptions;
  #secrets: readonly CookieSecret[] = [];
  #revision = 0;
  #writing: Promise<void> | undefined;
  #failure = "";
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: CookieKeeperOptions) {
    this.#options = options;
  }

  /** Looks from now on, each second. */
  start(): void {
    this.tick();
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** What is under way comes to its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#writing;
  }

  /** To be called once a second, and when the store has changed. Never throws. */
  tick(): void {
    try {
      this.#follow();
      this.#step();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Takes what the store says. */
  #follow(): void {
    const { state, keyPlace } = this.#options;
    const found = state?.get("CookieSecrets", NAME);
    if (found === undefined || found.revision === this.#revision) return;
    const sealed = fieldsOf(JSON.parse(found.text))["secrets"];
    const text = typeof sealed === "string" ? sealOf(keyPlace, false).open(sealed) : undefined;
    if (text === undefined) throw foreignKey(keyPlace);
    this.#revision = found.revision;
    this.#take(readSecrets(text));
  }

  #step(): void {
    const { state, leading, nowMs } = this.#options;
    const next = stepSecrets(this.#secrets, nowMs(), () =>
      randomBytes(SECRET_BYTES).toString("hex"),
    );
    if (next === this.#secrets || this.#isClosed) return;
    if (state === undefined) {
      this.#take(next);
      return;
    }
    if (this.#writing !== undefined || leading() === undefined) return;
    this.#writing = this.#write(state, next)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#writing = undefined;
      });
  }

  /** Where another was first, what it wrote is taken. */
  async #write(state: StateDocuments, secrets: readonly CookieSecret[]): Promise<void> {
    const { keyPlace, leading, logger } = this.#options;
    const text = JSON.stringify({
      secrets: sealOf(keyPlace, false).seal(JSON.stringify(secrets)),
    });
    const write = { kind: "CookieSecrets", name: NAME, text, ifRevision: this.#revision } as const;
    const about = { secrets: secrets.length };
    if (await state.write([write], "cookies", about, leading()?.lease))
      logger.info(about, "Changed the secrets of cookies");
    this.#follow();
  }

  #take(secrets: readonly CookieSecret[]): void {
    this.#secrets = secrets;
    this.#failure = "";
    this.#options.onSecrets(secrets.map(({ secret }) => secret));
  }

  #failed(error: unknown): void {
    const reason = reasonOf(error);
    if (reason !== this.#failure)
      this.#options.logger.error({ reason }, "Cannot keep the secrets of cookies");
    this.#failure = reason;
  }
}

function readSecrets(text: string): readonly CookieSecret[] {
  const raw: unknown = JSON.parse(text);
  return (Array.isArray(raw) ? raw : []).flatMap((each) => {
    const { secret, madeMs, usedMs } = fieldsOf(each);
    if (typeof secret !== "string" || typeof madeMs !== "number") return [];
    return [{ secret, madeMs, ...(typeof usedMs === "number" ? { usedMs } : {}) }];
  });
}
