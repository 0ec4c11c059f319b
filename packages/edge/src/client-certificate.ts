// SPDX-License-Identifier: Apache-2.0

// The certificate that a client shows inside TLS (RFC 9103 §9.3.3): that it has the key follows from the handshake. Its name counts where
// one of the authorities that are given has signed it itself, or is it; its key, to whoever names that, without any.

import { X509Certificate, createHash } from "node:crypto";

/** Extended key usage of clients (RFC 5280 §4.2.1.12), and any. */
const CLIENT_USAGES: ReadonlySet<string> = new Set(["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"]);
const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The identifier of name constraints (RFC 5280 §4.2.1.10) as DER has it: 2.5.29.30. */
const NAME_CONSTRAINTS = Buffer.from("0603551d1e", "hex");

/**
 * Authorities of a bundle. Throws where one is none, there is none, or one may vouch for some names alone: that is not looked at here, and
 * passed over it would have the authority vouch for all.
 */
export function authoritiesOf(pem: string): readonly X509Certificate[] {
  const found = [...pem.matchAll(PEM)].map(([text]) => new X509Certificate(text));
  if (found.length === 0) throw new TypeError("it has no certificate");
  for (const { raw, subject } of found)
    if (raw.includes(NAME_CONSTRAINTS))
      throw new TypeError(
        `"${subject}" has name constraints, which are not looked at: expected an authority without`,
      );
  return found;
}

export class ClientCertificate {
  readonly #certificate: X509Certificate;
  readonly #authorities: readonly X509Certificate[];
  #spki: string | undefined;

  constructor(certificate: X509Certificate, authorities: readonly X509Certificate[]) {
    this.#certificate = certificate;
    this.#authorities = authorities;
  }

  /** SHA-256 of its SubjectPublicKeyInfo, as base64. */
  get spki(): string {
    this.#spki ??= createHash("sha256")
      .update(this.#certificate.publicKey.export({ format: "der", type: "spki" }))
      .digest("base64");
    return this.#spki;
  }

  /** Whether it is for that name (a DNS name among its subject alternative names), at this time and by an authority that is known. */
  isOf(name: string, nowMs: number): boolean {
    const certificate = this.#certificate;
    const { keyUsage } = certificate;
    const isForClients =
      keyUsage === undefined ||
      keyUsage.length === 0 ||
      keyUsage.some((use) => CLIENT_USAGES.has(use));
    return (
      isForClients &&
      isValidAt(certificate, nowMs) &&
      certificate.checkHost(name, { subject: "never", wildcards: false }) !== undefined &&
      this.#authorities.some((authority) => this.#isBy(authority, nowMs))
    );
  }

  #isBy(authority: X509Certificate, nowMs: number): boolean {
    const certificate = this.#certificate;
    if (authority.raw.equals(certificate.raw)) return true;
    return (
      authority.ca &&
      isValidAt(authority, nowMs) &&
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey)
    );
  }
}

function isValidAt({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs < validToDate.getTime();
}
