// SPDX-License-Identifier: Apache-2.0

// Loads that Prometheus servers tell of pools: one question a pool each interval, whose samples name the members. What one server does not
// answer is a condition of its pool and holds up no other; loads that do not come grow old where factors are made of them.

import { parseDuration, reasonOf } from "@meridian/core";
import type { PrometheusSample } from "@meridian/health";
import type { Model, Pool, PrometheusSource } from "@meridian/model";
import type { CompileProblem } from "../compile.ts";
import type { Logger } from "../embedded-options.ts";
import { askSeries, type PrometheusContext } from "./ask-prometheus.ts";
import { FairTurns } from "./fair-turns.ts";

/** Shortest time from one question of a pool to the next. */
const INTERVAL_MS_MIN = 1000;
/** Pause after an answer that came late. */
const PAUSE_MS_MIN = 20;
/** First questions are spread over so much. */
const FIRST_MS_MAX = 1000;
/** How long one question may take. */
const QUESTION_MS_MAX = 5000;
/** Bytes of an answer, and how many more for each member: all of them are read on the thread that answers the API. */
const ANSWER_BYTES = 65_536;
const MEMBER_BYTES = 1024;
/** Questions at once. */
const TURNS = { ownMax: 4, allMax: 128 };
/** Members that a condition names. */
const NAMED_MAX = 3;

/** A load, 0 idle to 1 full, by endpoint key. */
export type EndpointLoad = readonly [key: string, load: number];

export interface PoolLoadsOptions {
  /** That documents name to log in with; read anew for each question. */
  readonly secrets: PrometheusContext["secrets"];
  readonly onLoads: (loads: readonly EndpointLoad[]) => void;
  readonly logger: Logger;
  /** Between 0 and 1, where `Math.random` is not to be. */
  readonly random?: () => number;
  /** A second, and five seconds, unless given. */
  readonly intervalMsMin?: number;
  readonly questionMsMax?: number;
}

/** What is asked for a pool, and how the answer is read. */
interface Question {
  readonly namespace: string;
  readonly source: PrometheusSource;
  readonly query: string;
  readonly scale: number;
  readonly intervalMs: number;
}

/** A pool that is asked for. */
interface Asked {
  /** As text, to see whether it is another one. */
  readonly print: string;
  readonly question: Question;
  readonly closing: AbortController;
  pool: Pool;
  timer: NodeJS.Timeout | undefined;
  /** Why some of its loads, or all, could not be read last. */
  problem: string | undefined;
}

export class PoolLoads {
  readonly #options: PoolLoadsOptions;
  readonly #asked = new Map<string, Asked>();
  readonly #turns = new FairTurns(TURNS);

  constructor(options: PoolLoadsOptions) {
    this.#options = options;
  }

  /** The pools from now on. Those with the same question go on as they are. */
  follow(pools: Model["pools"]): void {
    for (const [name, asked] of this.#asked)
      if (questionOf(pools.get(name), 0) === undefined) this.#forget(name, asked);
    const { intervalMsMin = INTERVAL_MS_MIN } = this.#options;
    for (const [name, pool] of pools) {
      const question = questionOf(pool, intervalMsMin);
      if (question === undefined) continue;
      const print = JSON.stringify(question);
      const known = this.#asked.get(name);
      if (known?.print === print) {
        known.pool = pool;
        continue;
      }
      if (known !== undefined) this.#forget(name, known);
      this.#begin(name, { print, question, pool });
    }
  }

  /** The pools whose loads, or some of them, cannot be read, and why. */
  conditions(): CompileProblem[] {
    return [...this.#asked].flatMap(([name, { problem }]) =>
      problem === undefined
        ? []
        : [{ subject: `pool/${name}`, message: `Cannot read loads: ${problem}` }],
    );
  }

  /** Why loads of a pool, or some of them, cannot be read. */
  problemOf(name: string): string | undefined {
    return this.#asked.get(name)?.problem;
  }

  /** Ends what is under way. Idempotent. */
  close(): void {
    for (const [name, asked] of this.#asked) this.#forget(name, asked);
  }

  #forget(name: string, { closing, timer }: Asked): void {
    closing.abort();
    clearTimeout(timer);
    this.#asked.delete(name);
  }

  #begin(name: string, parts: Pick<Asked, "print" | "question" | "pool">): void {
    const closing = new AbortController();
    const asked: Asked = { ...parts, closing, timer: undefined, problem: undefined };
    this.#asked.set(name, asked);
    const { random = Math.random } = this.#options;
    this.#schedule(name, asked, random() * Math.min(FIRST_MS_MAX, parts.question.intervalMs));
  }

  #schedule(name: string, asked: Asked, pauseMs: number): void {
    asked.timer = setTimeout(() => void this.#ask(name, asked), pauseMs).unref();
  }

  /** Asks once, in its turn, and sees to the next time. Never rejects. */
  async #ask(name: string, asked: Asked): Promise<void> {
    const { namespace, intervalMs } = asked.question;
    const startMs = performance.now();
    try {
      await this.#turns.run(namespace, () => this.#read(name, asked));
    } catch (error) {
      this.#told(name, asked, reasonOf(error));
    }
    if (asked.closing.signal.aborted) return;
    const restMs = startMs + intervalMs - performance.now();
    this.#schedule(name, asked, Math.max(PAUSE_MS_MIN, restMs));
  }

  async #read(name: string, asked: Asked): Promise<void> {
    const { signal } = asked.closing;
    const { source, query, scale, namespace } = asked.question;
    if (signal.aborted) return;
    const bytesMax = ANSWER_BYTES + MEMBER_BYTES * asked.pool.members.size;
    const { secrets, questionMsMax: timeoutMs = QUESTION_MS_MAX } = this.#options;
    const limits = { timeoutMs, bytesMax, signal };
    const answer = await askSeries(source, query, { secrets, namespace, ...limits });
    if (signal.aborted) return;
    if (answer.kind !== "series") {
      this.#told(name, asked, answer.reason);
      return;
    }
    const { loads, problem } = loadsOf(asked.pool, answer.samples, scale);
    if (loads.length > 0) this.#options.onLoads(loads);
    this.#told(name, asked, problem);
  }

  /** Once, and not each interval. */
  #told(name: string, asked: Asked, problem: string | undefined): void {
    if (asked.problem === problem) return;
    asked.problem = problem;
    const { logger } = this.#options;
    if (problem === undefined) logger.info({ pool: name }, "Loads of a pool are read again");
    else logger.warn({ pool: name, reason: problem }, "Cannot read loads of a pool");
  }
}

/** undefined where Prometheus is not asked for it. */
function questionOf(pool: Pool | undefined, intervalMsMin: number): Question | undefined {
  const load = pool?.document.spec.load;
  if (pool === undefined || load?.prometheus === undefined || pool.members.size === 0)
    return undefined;
  const intervalMs = Math.max(intervalMsMin, parseDuration(load.interval) ?? 0);
  const { namespace } = pool.document.metadata;
  const { query, ...source } = load.prometheus;
  return { namespace, source, query, scale: load.scale, intervalMs };
}

/** The loads of members that samples tell; those of others are left out. */
function loadsOf(
  { members }: Pool,
  samples: readonly PrometheusSample[],
  scale: number,
): { readonly loads: readonly EndpointLoad[]; readonly problem: string | undefined } {
  const values = new Map<string, number>();
  for (const { labels, value } of samples) {
    const name = labels["endpoint"];
    if (name === undefined || !members.has(name)) continue;
    // Of two nobody knows which one is meant.
    values.set(name, values.has(name) ? NaN : value / scale);
  }
  const loads: EndpointLoad[] = [];
  const missing: string[] = [];
  for (const [name, { key }] of members) {
    const load = values.get(name);
    if (load !== undefined && Number.isFinite(load) && load >= 0) loads.push([key, load]);
    else missing.push(name);
  }
  return { loads, problem: missing.length === 0 ? undefined : missingWords(missing, members.size) };
}

function missingWords(missing: readonly string[], count: number): string {
  const named = missing.slice(0, NAMED_MAX).map((name) => `"${name}"`);
  const rest = missing.length > NAMED_MAX ? " and others" : "";
  return (
    `${missing.length} of ${count} members have no single sample with their name as "endpoint" and a value of 0 or more: ` +
    `${named.join(", ")}${rest}`
  );
}
