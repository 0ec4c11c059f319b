// SPDX-License-Identifier: Apache-2.0

// Keeps what is decided of routed names in a primary that stays authoritative: the answer for a client of no place, with the health of now,
// for those who keep their DNS. Done by the control that leads, at each change of what is decided and again now and then, as somebody may
// have changed it there.
//
//   overlay, snapshot ─► decided ─► what is other than was published, or all each minute ─► updates, one name each ─► primary
//
// Nothing is published of a name that has no answer now: what was there last stays.

import { randomInt } from "node:crypto";
import { reasonOf } from "@meridian/core";
import {
  Rcode,
  formatRdata,
  nameKey,
  parseName,
  rcodeToText,
  tsigKey,
  typeToText,
} from "@meridian/dns";
import { nameText } from "@meridian/model";
import type { Logger } from "../embedded-options.ts";
import { PrimaryConnection } from "../secondary/primary-connection.ts";
import { ProbeSecrets, type SecretPlace } from "../secrets/probe-secrets.ts";
import type { PublishedZone } from "../served-model.ts";
import { markName, publishMessage, type DecidedName } from "./publish-message.ts";

/** How often it is looked whether something else is decided. */
const LOOK_MS = 250;
/** How often all is published again. */
const REPEAT_MS = 60_000;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 300_000;
/** Names of one zone; a change of each is an update of its own. */
const NAMES_MAX = 10_000;

/** Of an update that would take a name: somebody has it. */
const foreignRcodes: ReadonlySet<number> = new Set([Rcode.YXRRSET, Rcode.YXDOMAIN, Rcode.NXRRSET]);

export interface DecidedPublisherOptions {
  /** By origin; undefined before anything is served. */
  readonly zones: () => ReadonlyMap<string, PublishedZone> | undefined;
  /** Another one when something else may be decided. */
  readonly state: () => string;
  /** What is decided now of the routed names of a zone. */
  readonly decided: (origin: Uint8Array) => readonly DecidedName[];
  readonly secrets: SecretPlace;
  readonly isLeading: () => boolean;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** A name as the primary has it, as far as is known. */
interface PublishedName {
  readonly name: string;
  readonly wire: Uint8Array;
  readonly primary: string;
  /** `TYPE DATA`, sorted. */
  readonly records: readonly string[];
  /** Wall time of the update that said so last; undefined where it was refused. */
  readonly atMs: number | undefined;
  /** Why it is not what is decided. */
  readonly refusal: string | undefined;
}

interface Standing {
  readonly names: Map<string, PublishedName>;
  state: string;
  /** When all is published again. */
  repeatMs: number;
  retryMs: number;
  failures: number;
  isBusy: boolean;
}

export class DecidedPublisher {
  readonly #options: DecidedPublisherOptions;
  readonly #standings = new Map<string, Standing>();
  readonly #secrets: ProbeSecrets;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #counts = { published: 0, refused: 0, failed: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DecidedPublisherOptions) {
    this.#options = options;
    this.#secrets = new ProbeSecrets(
      options.secrets,
      options.logger,
      () => undefined,
      "Does not publish what needs a secret that is not here",
    );
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#secrets.close();
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  /** Updates by what came of them, for metrics. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  /** What was said of a name (lower case, without the last dot), in words. */
  textOf(name: string): string | undefined {
    for (const { names } of this.#standings.values())
      for (const known of names.values()) if (known.name === name) return publishedText(known);
    return undefined;
  }

  /** To be called a few times a second. */
  tick(): void {
    const { zones, isLeading, nowMs, state } = this.#options;
    const wanted = zones();
    if (wanted === undefined || this.#closing.signal.aborted) return;
    const isMine = isLeading();
    for (const origin of this.#standings.keys())
      if (!isMine || !wanted.has(origin)) this.#standings.delete(origin);
    this.#secrets.want(new Set(isMine ? [...wanted.values()].map(({ key }) => key.secret) : []));
    if (!isMine) return;
    const now = nowMs();
    const seen = wanted.size === 0 ? "" : state();
    for (const [origin, zone] of wanted) {
      const standing = this.#standing(origin);
      const isDue = standing.state !== seen || now >= standing.repeatMs;
      // Where its secret is not here, that is said already.
      const isReady = this.#secrets.values.has(zone.key.secret);
      if (standing.isBusy || !isDue || !isReady || now < standing.retryMs) continue;
      standing.isBusy = true;
      const running = this.#publish(origin, zone, standing, seen).finally(() => {
        standing.isBusy = false;
        this.#running.delete(running);
      });
      this.#running.add(running);
    }
  }

  #standing(origin: string): Standing {
    let standing = this.#standings.get(origin);
    if (standing === undefined) {
      const known = new Map<string, PublishedName>();
      standing = {
        ...{ names: known, state: "", repeatMs: 0, retryMs: 0, failures: 0, isBusy: false },
      };
      this.#standings.set(origin, standing);
    }
    return standing;
  }

  /** Never rejects. */
  async #publish(
    origin: string,
    zone: PublishedZone,
    standing: Standing,
    seen: string,
  ): Promise<void> {
    const { nowMs, logger } = this.#options;
    const isRepeat = nowMs() >= standing.repeatMs;
    try {
      await this.#update(origin, zone, standing, isRepeat);
      standing.state = seen;
      if (isRepeat) standing.repeatMs = nowMs() + REPEAT_MS;
      if (standing.failures > 0) logger.info({ zone: origin }, "Publishes decided answers again");
      standing.failures = 0;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#counts.failed += 1;
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** standing.failures);
      standing.retryMs = nowMs() + pauseMs;
      standing.failures += 1;
      // Once, and not for each attempt of a day.
      if (standing.failures > 1) return;
      logger.warn(
        { zone: origin, primary: primaryText(zone), reason: reasonOf(error) },
        "Cannot publish decided answers: what was published last stays",
      );
    }
  }

  async #update(
    origin: string,
    zone: PublishedZone,
    standing: Standing,
    isRepeat: boolean,
  ): Promise<void> {
    const apex = parseName(`${origin}.`);
    if (!(apex instanceof Uint8Array)) return;
    const decided = this.#options.decided(apex).slice(0, NAMES_MAX);
    const present = new Set(decided.map(({ name }) => nameKey(name)));
    const gone = [...standing.names].filter(([key]) => !present.has(key));
    const due = decided.filter(({ name, records }) => {
      const known = standing.names.get(nameKey(name));
      const isOther = linesOf(records).join("\n") !== known?.records.join("\n");
      return records.length > 0 && markName(name) !== undefined && (isRepeat || isOther);
    });
    if (due.length + gone.length === 0) return;
    const connection = await this.#open(apex, zone);
    try {
      for (const name of due) await this.#say(connection, { origin, apex, zone }, standing, name);
      for (const [key, { wire }] of gone) {
        const message = publishMessage("gone", this.#about(apex, zone), {
          name: wire,
          records: [],
        });
        await connection.exchange(message);
        standing.names.delete(key);
      }
    } finally {
      connection.close();
    }
  }

  #about(apex: Uint8Array, { namespace, name }: PublishedZone) {
    return { origin: apex, owner: `${namespace}/${name}`, id: randomInt(65_536) };
  }

  async #say(
    connection: PrimaryConnection,
    { origin, apex, zone }: { origin: string; apex: Uint8Array; zone: PublishedZone },
    standing: Standing,
    decided: DecidedName,
  ): Promise<void> {
    const name = nameText(decided.name);
    let rcode = await connection.exchange(publishMessage("ours", this.#about(apex, zone), decided));
    if (rcode === Rcode.NXRRSET)
      rcode = await connection.exchange(publishMessage("new", this.#about(apex, zone), decided));
    const isForeign = foreignRcodes.has(rcode);
    if (rcode !== Rcode.NOERROR && !isForeign && rcode !== Rcode.REFUSED)
      throw new Error(`it answers ${rcodeToText(rcode)} to an update of ${name}`);
    const key = nameKey(decided.name);
    const before = standing.names.get(key);
    const refusal =
      rcode === Rcode.NOERROR
        ? undefined
        : isForeign
          ? "the primary has records there that are not ours"
          : "the primary refuses the update";
    const isDone = refusal === undefined;
    const records = linesOf(decided.records);
    standing.names.set(key, {
      ...{ name, wire: decided.name, primary: primaryText(zone), refusal, records },
      atMs: isDone ? this.#options.nowMs() : undefined,
    });
    this.#counts[isDone ? "published" : "refused"] += 1;
    const isNews = before?.refusal !== refusal || before?.records.join() !== records.join();
    if (!isNews) return;
    const details = { zone: origin, name, records };
    if (isDone) this.#options.logger.info(details, "Published a decided answer");
    else this.#options.logger.warn({ ...details, reason: refusal }, "Cannot publish a name");
  }

  #open(
    apex: Uint8Array,
    { publishTo: { address, port }, key: named }: PublishedZone,
  ): Promise<PrimaryConnection> {
    const { name, algorithm, secret } = named;
    const key = tsigKey(name, algorithm, this.#secrets.values.get(secret));
    if (key === undefined) throw new Error(`the secret of the key ${name} is not here`);
    const { signal } = this.#closing;
    const { nowMs } = this.#options;
    return PrimaryConnection.open({ address, port, key, tls: undefined }, apex, { signal, nowMs });
  }
}

function publishedText({ primary, records, atMs, refusal }: PublishedName): string {
  const what = records.join(", ");
  if (atMs === undefined) return `not published to ${primary}: ${refusal ?? ""} (${what})`;
  return `published to ${primary} at ${new Date(atMs).toISOString()}: ${what}`;
}

function primaryText({ publishTo: { address, port } }: PublishedZone): string {
  return `${address} port ${port}`;
}

function linesOf(records: DecidedName["records"]): string[] {
  return records
    .map(({ type, ttl, rdata }) => `${ttl} ${typeToText(type)} ${formatRdata(type, rdata)}`)
    .toSorted();
}
