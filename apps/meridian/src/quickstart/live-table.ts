// SPDX-License-Identifier: Apache-2.0

// What the quick start shows while it runs: on a terminal a table that is drawn anew each second, in a pipe a line for each change and
// the table now and then.

import type { ApiClient } from "../api-client.ts";
import type { Endpoint } from "../api-requests.ts";
import { field, hasColours, print, tableLines, type Column, type Row } from "../output.ts";

const SECOND_MS = 1000;
/** Rates are over this many seconds, so that a table of few queries is not all noise. */
const WINDOW_SECONDS = 10;
/** How often a pipe gets the whole table. */
const PIPE_TABLE_SECONDS = 30;

const columns: readonly Column[] = [
  field("NAME", "name"),
  field("REGION", "region"),
  field("ADDRESS", "address"),
  field("HEALTH", "health"),
  field("FREE", "free", true),
  field("ANSWERS/S", "rate", true),
  field("SHARE", "share", true),
];

interface Sample {
  readonly atMs: number;
  readonly answers: ReadonlyMap<string, number>;
}

export class LiveTable {
  readonly #api: ApiClient;
  readonly #qps: number;
  readonly #samples: Sample[] = [];
  readonly #health = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;
  #seconds = 0;
  #isClosed = false;

  constructor(api: ApiClient, qps: number) {
    this.#api = api;
    this.#qps = qps;
  }

  start(): void {
    void this.#tick();
    this.#timer = setInterval(() => void this.#tick(), SECOND_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  async #tick(): Promise<void> {
    try {
      const endpoints = await this.#api.list("/v1/endpoints");
      if (!this.#isClosed) this.#show(endpoints);
    } catch (error) {
      if (!this.#isClosed) print(error instanceof Error ? error.message : String(error));
    }
  }

  #show(endpoints: readonly Endpoint[]): void {
    const rows = this.#rows(endpoints);
    const changed = this.#changes(rows);
    if (process.stdout.isTTY) this.#draw(rows);
    else {
      for (const line of changed) print(line);
      if (this.#seconds % PIPE_TABLE_SECONDS === WINDOW_SECONDS)
        for (const line of tableLines(rows, columns, false)) print(line);
    }
    this.#seconds += 1;
  }

  #draw(rows: readonly Row[]): void {
    const clients =
      this.#qps === 0 ? "no simulated clients" : `${this.#qps} queries/s of simulated clients`;
    const lines = [
      `${new Date().toLocaleTimeString()}  ${clients}, rates over ${WINDOW_SECONDS} s`,
      ...tableLines(rows, columns, hasColours()),
    ];
    const up = this.#drawnLines === 0 ? "" : `\u001B[${this.#drawnLines}A`;
    process.stdout.write(`${up}${lines.map((line) => `\u001B[2K${line}\n`).join("")}`);
    this.#drawnLines = lines.length;
  }

  #rows(endpoints: readonly Endpoint[]): Row[] {
    const now: Sample = {
      atMs: performance.now(),
      answers: new Map(endpoints.map(({ endpoint, answers }) => [endpoint, answers])),
    };
    this.#samples.push(now);
    if (this.#samples.length > WINDOW_SECONDS + 1) this.#samples.shift();
    const [first = now] = this.#samples;
    const elapsed = Math.max(1, now.atMs - first.atMs) / 1000;
    const rateOf = (row: Row): number => {
      const key = String(row["endpoint"]);
      return ((now.answers.get(key) ?? 0) - (first.answers.get(key) ?? 0)) / elapsed;
    };
    const totals = new Map<string, number>();
    for (const row of endpoints) {
      const name = nameOf(row);
      totals.set(name, (totals.get(name) ?? 0) + rateOf(row));
    }
    return endpoints.map((row) => {
      const name = nameOf(row);
      const total = totals.get(name) ?? 0;
      return {
        endpoint: row["endpoint"],
        name,
        region: row["site"],
        address: row["address"],
        health: row["admin"] === "active" ? row["verdict"] : row["admin"],
        reason: row["reason"],
        free: name.startsWith("gpu") ? `${Math.round(row.capacityFactor * 100)} %` : "",
        rate: rateOf(row).toFixed(1),
        share: total === 0 ? "" : `${Math.round((100 * rateOf(row)) / total)} %`,
      };
    });
  }

  /** A line for each endpoint whose health is another than a second ago. */
  #changes(rows: readonly Row[]): string[] {
    return rows.flatMap((row) => {
      const key = String(row["endpoint"]);
      const health = String(row["health"]);
      if (this.#health.get(key) === health) return [];
      this.#health.set(key, health);
      const time = new Date().toISOString().slice(11, 19);
      return [`${time} ${key} in ${String(row["region"])} is ${health}: ${String(row["reason"])}`];
    });
  }
}

/** Name that a pool of the quick start serves: pools are called after it. */
function nameOf(row: Row): string {
  const pool = String(row["endpoint"]).split("/")[2] ?? "";
  return `${pool.split("-")[0] ?? ""}.example.org`;
}
