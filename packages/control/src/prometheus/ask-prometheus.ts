// SPDX-License-Identifier: Apache-2.0

// Asks a Prometheus server, or what speaks its HTTP API, for what an expression is now. Nothing that it answers, or does not, is an
// exception: there are values, or there is no data, or something is wrong, each with a reason in words that hold no secret. Those who ask
// treat the last two differently: a service without traffic has no data, while a server that is down says nothing of the service.

import { reasonOf } from "@meridian/core";
import { readPrometheusSeries, type PrometheusSample } from "@meridian/health";
import type { PrometheusSource } from "@meridian/model";
import type { Secrets } from "../secrets/secrets.ts";

/** How long one question may take. */
const QUESTION_MS_MAX = 10_000;
/** Bytes of an answer. */
const ANSWER_BYTES_MAX = 1_048_576;
/** Series of an answer. */
const SERIES_MAX = 1000;
/** Characters of what a server says of an error. */
const SAID_LENGTH_MAX = 200;

/** Why there is nothing to go by. */
export interface NoValue {
  /** `noData`: no series, NaN or an infinity, as a ratio without traffic gives; `error`: nothing can be said of what was asked. */
  readonly kind: "noData" | "error";
  readonly reason: string;
}

/** The one number that an expression is. */
export type PrometheusNumber = { readonly kind: "value"; readonly value: number } | NoValue;

/** Every series that an expression gives, one at least; their values may be NaN or infinite. */
export type PrometheusVector =
  | { readonly kind: "series"; readonly samples: readonly PrometheusSample[] }
  | NoValue;

/** What a question needs besides the expression. */
export interface PrometheusContext {
  readonly secrets: Pick<Secrets, "read">;
  /** Whose secrets the source names. */
  readonly namespace: string;
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined;
  /** 10 s unless given. */
  readonly timeoutMs?: number | undefined;
  /** Of an answer: 1 MiB unless given, and at most. */
  readonly bytesMax?: number | undefined;
}

/** The finite number that `expression` is now. Never rejects. */
export async function askNumber(
  source: PrometheusSource,
  expression: string,
  context: PrometheusContext,
): Promise<PrometheusNumber> {
  const answer = await askSeries(source, expression, context);
  if (answer.kind !== "series") return answer;
  const [sample] = answer.samples;
  const count = answer.samples.length;
  if (sample === undefined || count > 1)
    return { kind: "error", reason: `the query gives ${count} series, expected 1` };
  const { value } = sample;
  if (Number.isFinite(value)) return { kind: "value", value };
  const said = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  return { kind: "noData", reason: `the query gives ${said}` };
}

/** What `expression` is now, as series. Never rejects. */
export async function askSeries(
  source: PrometheusSource,
  expression: string,
  context: PrometheusContext,
): Promise<PrometheusVector> {
  try {
    const text = await fetchAnswer(source, expression, context);
    const answer = readPrometheusSeries(text);
    if (answer.kind === "none") return { kind: "error", reason: `the ${answer.reason}` };
    const count = answer.samples.length;
    if (count > SERIES_MAX)
      return { kind: "error", reason: `the query gives ${count} series, at most ${SERIES_MAX}` };
    return count === 0 ? { kind: "noData", reason: "the query gives no series" } : answer;
  } catch (error) {
    return { kind: "error", reason: wordsOf(error) };
  }
}

async function fetchAnswer(
  source: PrometheusSource,
  expression: string,
  {
    secrets,
    namespace,
    signal,
    timeoutMs = QUESTION_MS_MAX,
    bytesMax = ANSWER_BYTES_MAX,
  }: PrometheusContext,
): Promise<string> {
  const url = new URL(source.url);
  // What fetch says of it would hold the password.
  if (url.username !== "" || url.password !== "")
    throw new Error("the address of the Prometheus server holds a name or password, expected none");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v1/query`;
  const authorization = await authorizationOf(source, (reference) =>
    secrets.read(namespace, reference),
  );
  const deadline = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      ...(authorization === undefined ? {} : { authorization }),
      "content-type": "application/x-www-form-urlencoded",
      "accept-encoding": "identity",
    },
    body: new URLSearchParams({ query: expression }).toString(),
    // Elsewhere is not where the secret was meant to go.
    redirect: "manual",
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  });
  const text = await boundedText(response, Math.min(bytesMax, ANSWER_BYTES_MAX));
  if (response.status === 200) return text;
  throw new Error(`the Prometheus server answered ${response.status}${saidOf(text)}`);
}

async function authorizationOf(
  { token, basic }: PrometheusSource,
  read: (reference: NonNullable<PrometheusSource["token"]>) => Promise<string>,
): Promise<string | undefined> {
  if (token !== undefined) return `Bearer ${await read(token)}`;
  if (basic === undefined) return undefined;
  const login = `${basic.user}:${await read(basic.password)}`;
  return `Basic ${Buffer.from(login).toString("base64")}`;
}

async function boundedText(response: Response, bytesMax: number): Promise<string> {
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body === null) return "";
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    // Leaving the loop cancels the rest.
    if (length > bytesMax)
      throw new Error(`the answer of the Prometheus server is larger than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** What a server says of an error: `: parse error …`. */
function saidOf(text: string): string {
  const said = /"error":"((?:[^"\\]|\\.){1,2000})/.exec(text)?.[1];
  return said === undefined ? "" : `: ${said.slice(0, SAID_LENGTH_MAX)}`;
}

function wordsOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError")
    return "the Prometheus server did not answer in time";
  // Of `fetch failed` only the cause says why, by a code or by words; neither holds the path of the address.
  const cause = error instanceof TypeError ? error.cause : undefined;
  if (cause === undefined) return reasonOf(error);
  return `the Prometheus server cannot be reached: ${reasonOf(cause)}`;
}
