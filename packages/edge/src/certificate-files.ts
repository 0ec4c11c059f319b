// SPDX-License-Identifier: Apache-2.0

import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { MeridianError, reasonOf } from "@meridian/core";
import { authoritiesOf } from "./client-certificate.ts";
import type { Certificate } from "./tcp-encryption.ts";

/** Reads a certificate with its chain, and its key, both PEM. Throws EDGE_CERTIFICATE_INVALID where one is none or does not fit the other. */
export function readCertificate({
  certFile,
  keyFile,
  clientCaFile,
}: {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities of clients' certificates. */
  readonly clientCaFile?: string | undefined;
}): Certificate {
  const cert = read(certFile);
  const key = read(keyFile);
  if (!fits(cert, certFile, key, keyFile))
    throw invalid(certFile, `it is not the one of the key in "${keyFile}"`);
  if (clientCaFile === undefined) return { cert, key };
  const clientAuthorities = read(clientCaFile);
  attempt(clientCaFile, () => authoritiesOf(clientAuthorities));
  return { cert, key, clientAuthorities };
}

function fits(cert: string, certFile: string, key: string, keyFile: string): boolean {
  const certificate = attempt(certFile, () => new X509Certificate(cert));
  return certificate.checkPrivateKey(attempt(keyFile, () => createPrivateKey(key)));
}

function read(path: string): string {
  return attempt(path, () => readFileSync(path, "utf8"));
}

function attempt<T>(path: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    throw invalid(path, reasonOf(error));
  }
}

function invalid(path: string, reason: string): MeridianError {
  return new MeridianError(
    "EDGE_CERTIFICATE_INVALID",
    "user",
    `Cannot use "${path}" for encrypted DNS: ${reason}`,
  );
}
