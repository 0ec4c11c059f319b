// SPDX-License-Identifier: Apache-2.0

// Calls a program. What is sent is the same at each try, its key too; a receiver that remembers keys does it once. Of an answer only the status
// counts; little of the rest is read, however much comes.

import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDuration, reasonOf } from "@meridian/core";
import type { SecretReference } from "@meridian/model";
import type { Secrets } from "../secrets/secrets.ts";
import type { StepWork } from "./outside-steps.ts";
import { runName } from "./run-state.ts";

/** The pause after the first failed try, and the longest. */
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 30_000;
/** What is read of an answer, to be shown. */
const ANSWER_BYTES_MAX = 200;

/** Posts the message of a step; anything but a status of 200 to 299 is tried again. */
export function webhookStep(secrets: Secrets, nowMs: () => number): StepWork {
  return async ({ run, step, key, signal }) => {
    const { webhook } = step.what;
    if (webhook === undefined) return { result: "failed", detail: "it has no webhook" };
    if (step.tries > 0) {
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (step.tries - 1));
      await sleep(pauseMs, undefined, { signal });
    }
    const secret = async (reference: SecretReference | undefined): Promise<string | undefined> =>
      reference === undefined ? undefined : secrets.read(run.namespace, reference);
    const message: unknown = JSON.parse(webhook.message);
    const body = JSON.stringify({
      ...{ run: run.id, plan: `${run.namespace}/${run.plan}`, step: step.name, key },
      ...{ phase: step.state === "undoing" ? "rollback" : "run", mode: run.mode },
      ...{ reason: run.reason, message },
    });
    let detail: string;
    try {
      const headers = new Headers({ "content-type": "application/json", "idempotency-key": key });
      const token = await secret(webhook.token);
      if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
      const signing = await secret(webhook.signingKey);
      if (signing !== undefined)
        headers.set("meridian-signature", signature(signing, Math.floor(nowMs() / 1000), body));
      const tryMs = parseDuration(webhook.tryTimeout) ?? 0;
      const until = AbortSignal.any([signal, AbortSignal.timeout(tryMs)]);
      const { ok, status, text } = await post(webhook.url, headers, body, until);
      detail = `${runName(run)}: it answered ${status}${text === "" ? "" : `: ${text}`}`;
      if (ok) return { result: "done", detail: `it answered ${status}`, isTry: true };
    } catch (error) {
      detail = whyNot(error);
    }
    const isLast = step.tries >= webhook.retries;
    return { result: isLast ? "failed" : "going", detail, isTry: true };
  };
}

/** `t=SECONDS,v1=HEX`: HMAC-SHA-256 of `SECONDS.BODY`, so that a receiver can refuse what is old. */
export function signature(key: string, atSeconds: number, body: string): string {
  const mac = createHmac("sha256", key).update(`${atSeconds}.${body}`).digest("hex");
  return `t=${atSeconds},v1=${mac}`;
}

async function post(
  url: string,
  headers: Headers,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  // Elsewhere is not where the token was meant to go.
  const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  const { ok, status } = response;
  return { ok, status, text: ok ? "" : await beginning(response) };
}

/** The first printable bytes of an answer; the rest is not read. */
async function beginning(response: Response): Promise<string> {
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body === null) return "";
  // Leaving the loop cancels the rest.
  for await (const piece of body) {
    const text = new TextDecoder().decode(piece.subarray(0, ANSWER_BYTES_MAX));
    return text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
  }
  return "";
}

/** Of `fetch failed` only the cause says why. */
function whyNot(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return reasonOf(cause ?? error);
}
