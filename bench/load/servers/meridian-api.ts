// SPDX-License-Identifier: Apache-2.0
import { request } from "node:http";
import { join } from "node:path";
import { changeDocuments, type ChangeState } from "./meridian-changes.ts";

const TIMEOUT_MS = 60_000;

/** The documents of a change, given over the API of a control, for all edges at once (`publish=immediate`). */
export class AppliedDocuments {
  readonly #socketPath: string;
  readonly #origin: string;
  #lines: ReadonlySet<string> = new Set();

  constructor(stateFolder: string, origin: string) {
    this.#socketPath = join(stateFolder, "meridian.sock");
    this.#origin = origin;
  }

  /** Writes what is other, or deletes what is gone where that is all, and says when it was asked for (nanoseconds as `hrtime`). */
  async apply(state: ChangeState): Promise<number> {
    const wanted = this.#wanted(state);
    const changed = [...wanted].filter((line) => !this.#lines.has(line));
    const at = Number(process.hrtime.bigint());
    if (changed.length > 0) {
      await this.#ask("POST", "/v1/apply", changed.join(""));
      // The old text of what was written is none of what is left to be deleted.
      const written = new Set(changed.map(pathOf));
      const kept = [...this.#lines].filter((line) => !written.has(pathOf(line)));
      this.#lines = new Set([...kept, ...changed]);
    } else await this.clear(state);
    return at;
  }

  /** Deletes what a state does not have any more, last first, so that nothing is named by what stays. */
  async clear(state: ChangeState): Promise<void> {
    const wanted = this.#wanted(state);
    const gone = [...this.#lines].filter((line) => !wanted.has(line));
    for (const line of gone.toReversed()) await this.#ask("DELETE", pathOf(line));
    this.#lines = wanted;
  }

  #wanted(state: ChangeState): Set<string> {
    return new Set(changeDocuments(this.#origin, state));
  }

  async #ask(method: string, path: string, body?: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const asked = request({
      socketPath: this.#socketPath,
      path: `${path}?publish=immediate`,
      method,
      timeout: TIMEOUT_MS,
      ...(body === undefined ? {} : { headers: { "content-type": "application/x-ndjson" } }),
    });
    asked.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`Cannot ${method} ${path}: ${Buffer.concat(chunks).toString()}`));
      });
    });
    asked.on("timeout", () => asked.destroy(new Error(`Cannot ${method} ${path}: no answer`)));
    asked.on("error", reject);
    asked.end(body);
    await promise;
  }
}

function pathOf(line: string): string {
  const raw: unknown = JSON.parse(line);
  const [kind, metadata] = ["kind", "metadata"].map((field) => fieldOf(raw, field));
  return `/v1/documents/${String(kind)}/default/${String(fieldOf(metadata, "name"))}`;
}

function fieldOf(raw: unknown, field: string): unknown {
  return typeof raw === "object" && raw !== null ? Reflect.get(raw, field) : undefined;
}
