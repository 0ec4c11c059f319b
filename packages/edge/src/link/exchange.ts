// SPDX-License-Identifier: Apache-2.0

// Connections from an edge to a control, and single questions over one of their own.

import { connect, type ClientHttp2Session } from "node:http2";
import { MeridianError, reasonOf } from "@meridian/core";
import { CONTROL_NAME } from "@meridian/snapshot";
import type { EdgeIdentity } from "./edge-identity.ts";

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 65_536;
const WINDOW_BYTES = 4 * 1024 * 1024;

/** What a connection trusts, and what it shows. */
export type Credentials =
  /** Nothing is believed yet. */
  | { readonly kind: "anyone" }
  | { readonly kind: "authority"; readonly authority: string }
  | { readonly kind: "edge"; readonly identity: EdgeIdentity };

/** Begins a connection; errors come as its events. Control is known by its certificate, wherever it is. */
export function dial(url: string, credentials: Credentials): ClientHttp2Session {
  const session = connect(url, {
    servername: CONTROL_NAME,
    minVersion: "TLSv1.3",
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    ...(credentials.kind === "anyone" ? { rejectUnauthorized: false } : {}),
    ...(credentials.kind === "authority" ? { ca: credentials.authority } : {}),
    ...(credentials.kind === "edge"
      ? {
          ca: credentials.identity.authority,
          cert: credentials.identity.certificate,
          key: credentials.identity.key,
        }
      : {}),
  });
  session.on("connect", () => {
    // Given up meanwhile, it throws.
    if (!session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
  });
  return session;
}

/** One question and its answer. Rejects with EDGE_LINK_FAILED. */
export async function exchange(
  url: string,
  credentials: Credentials,
  question: { readonly path: string; readonly body?: string },
): Promise<{ readonly status: number; readonly body: string }> {
  const session = dial(url, credentials);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  session.on("error", reject);
  session.setTimeout(TIMEOUT_MS, () => session.destroy(new Error("no answer in time")));
  const stream = session.request({
    ":method": question.body === undefined ? "GET" : "POST",
    ":path": question.path,
  });
  let status = 0;
  let body = "";
  stream.setEncoding("utf8");
  stream.on("response", (headers) => {
    status = headers[":status"] ?? 0;
  });
  stream.on("data", (chunk: string) => {
    body += chunk;
    if (body.length > ANSWER_BYTES_MAX) session.destroy(new Error("the answer is too long"));
  });
  stream.on("error", reject);
  stream.on("end", () => resolve({ status, body }));
  stream.end(question.body);
  try {
    return await promise;
  } catch (error) {
    throw new MeridianError(
      "EDGE_LINK_FAILED",
      "system",
      `Cannot reach control at ${url}: ${causeOf(error)}`,
      { cause: error },
    );
  } finally {
    session.destroy();
  }
}

/** A stream fails because its connection did: that is what counts. */
function causeOf(error: unknown): string {
  return reasonOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
