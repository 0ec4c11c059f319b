// SPDX-License-Identifier: Apache-2.0

// The API of the process that holds a state folder, over the folder's Unix socket. Commands have no rules of their own: they ask here.

import { request } from "node:http";
import { join } from "node:path";
import { CommandError, ExitCode } from "./exit-code.ts";
import { rowsOf, type Row } from "./output.ts";

const TIMEOUT_MS = 60_000;
/** Items asked for at once. */
const PAGE_ITEMS = 10_000;

const exitCodeOfStatus: Readonly<Record<number, ExitCode>> = {
  400: ExitCode.invalid,
  403: ExitCode.refused,
  404: ExitCode.notFound,
  409: ExitCode.refused,
};

export class LocalApi {
  readonly #stateDir: string;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  get(path: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return this.#ask("GET", path, query);
  }

  /** Every item of a list, page by page. */
  async list(path: string): Promise<Row[]> {
    const rows: Row[] = [];
    for (let token: string | undefined = ""; token !== undefined;) {
      const page = await this.get(path, {
        limit: String(PAGE_ITEMS),
        ...(token === "" ? {} : { continue: token }),
      });
      for (const row of rowsOf(memberOf(page, "items"))) rows.push(row);
      const next = memberOf(page, "continue");
      token = typeof next === "string" ? next : undefined;
    }
    return rows;
  }

  post(path: string, body: object, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return this.#ask("POST", path, query, JSON.stringify(body));
  }

  delete(path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    return this.#ask("DELETE", path, query);
  }

  /** Throws a CommandError with the API's own words. */
  async #ask(
    method: string,
    path: string,
    query: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<unknown> {
    const { status, text } = await this.#exchange(
      method,
      `${path}?${new URLSearchParams(query).toString()}`,
      body,
    );
    const answer = parseJson(text);
    if (status < 400) return answer;
    const isError = typeof answer === "object" && answer !== null && "error" in answer;
    throw new CommandError(
      exitCodeOfStatus[status] ?? ExitCode.failed,
      isError ? String(answer.error) : `The server answered ${status}: ${text}`,
    );
  }

  #exchange(
    method: string,
    path: string,
    body: string | undefined,
  ): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const asked = request({
      socketPath: join(this.#stateDir, "meridian.sock"),
      path,
      method,
      agent: false,
      timeout: TIMEOUT_MS,
      headers:
        body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    asked.on("response", (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.on("error", (error) => reject(this.#unreachable(error)));
    asked.end(body);
    return promise;
  }

  #unreachable(error: Error): CommandError {
    const isAbsent = "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED");
    return new CommandError(
      ExitCode.unreachable,
      isAbsent
        ? `Cannot reach Meridian: no process holds the state folder "${this.#stateDir}"; start one with "meridian up", or name its folder with --state`
        : `Cannot reach Meridian: ${error.message}`,
    );
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
