// SPDX-License-Identifier: Apache-2.0

// TLS of the API. Certificates are read again when their files change, so that whoever renews them needs to tell nobody.

import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { RequestListener } from "node:http";
import { MeridianError, reasonOf } from "@meridian/core";

const LOOK_MS = 10_000;

/** Paths of PEM files. */
export interface ApiTls {
  readonly certificate: string;
  readonly key: string;
  /** Who signs the certificates of clients; without it none is asked for. */
  readonly clientAuthority?: string;
}

/** A server that speaks TLS 1.2 and later. Throws TLS_FILES_INVALID. */
export function tlsServer(files: ApiTls, listener: RequestListener): Server {
  const server = makeServer(files, listener);
  let read = stampOf(files);
  const timer = setInterval(() => {
    const now = stampOf(files);
    if (now === read) return;
    try {
      server.setSecureContext(contextOf(files));
      read = now;
    } catch {
      // Half written: what was read before holds until the next look.
    }
  }, LOOK_MS).unref();
  server.on("close", () => clearInterval(timer));
  return server;
}

function makeServer(files: ApiTls, listener: RequestListener): Server {
  try {
    return createServer(
      {
        ...contextOf(files),
        minVersion: "TLSv1.2",
        // Not refused in the handshake: who shows none may have a token, and who shows a wrong one is told why, and audited.
        requestCert: files.clientAuthority !== undefined,
        rejectUnauthorized: false,
      },
      listener,
    );
  } catch (error) {
    throw new MeridianError(
      "TLS_FILES_INVALID",
      "user",
      `Cannot serve HTTP with TLS from "${files.certificate}" and "${files.key}": ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

function contextOf({ certificate, key, clientAuthority }: ApiTls): {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
} {
  const ca = clientAuthority === undefined ? {} : { ca: readFileSync(clientAuthority) };
  return { cert: readFileSync(certificate), key: readFileSync(key), ...ca };
}

function stampOf(files: ApiTls): string {
  return [files.certificate, files.key, files.clientAuthority ?? files.certificate]
    .map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    .join(" ");
}
