// SPDX-License-Identifier: Apache-2.0

// The authority of one control plane: it signs the certificates of its edges and of its listeners, and nobody else's are taken. It is in
// the store, where every control finds it, its private key sealed with the key file. Whoever has both can make edges.

import "reflect-metadata";
import { createHash, createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { CONTROL_NAME, PROBE_UNIT } from "@meridian/snapshot";
import * as x509 from "@peculiar/x509";
import { member } from "../documents/document-key.ts";
import { foreignKey, sealOf, type KeyPlace } from "../state/sealing-key.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import type { JoinRole } from "./edge-roster.ts";
import { CERTIFICATE_MS, SKEW_MS } from "./limits.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const AUTHORITY_YEARS = 10;
const YEAR_MS = 365 * 24 * 3_600_000;
const SERIAL_BYTES = 16;
/** Its name in the store. */
const NAME = "edges";
const CLIENT = "1.3.6.1.5.5.7.3.2";
const SERVER = "1.3.6.1.5.5.7.3.1";

/** A key with its certificate, as PEM. */
export interface KeyPair {
  readonly key: string;
  readonly certificate: string;
}

export class CertificateAuthority {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of its DER, in hex. */
  readonly fingerprint: string;
  readonly #parsed: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(certificate: string, key: webcrypto.CryptoKey) {
    this.certificate = certificate;
    this.#parsed = new x509.X509Certificate(certificate);
    this.#key = key;
    const der = Buffer.from(this.#parsed.rawData);
    this.fingerprint = createHash("sha256").update(der).digest("hex");
  }

  /** The authority of a store; where it has none, one is made, and its key file too. Throws SEALING_KEY_INVALID. */
  static async open(
    state: StateDocuments,
    keyPlace: KeyPlace,
    nowMs: number,
  ): Promise<CertificateAuthority> {
    const sealed = sealOf(keyPlace, state.get("Authority", NAME) === undefined);
    if (state.get("Authority", NAME) === undefined) {
      const { key, certificate } = await makeAuthority(nowMs);
      const text = JSON.stringify({ certificate, key: sealed.seal(key) });
      // Another control may be first; then its own is taken.
      await state.write([{ kind: "Authority", name: NAME, text, ifRevision: 0 }], "authority", {});
    }
    const stored: unknown = JSON.parse(state.get("Authority", NAME)?.text ?? "{}");
    const [certificate, pem] = [member(stored, "certificate"), sealed.open(textIn(stored, "key"))];
    if (typeof certificate !== "string" || pem === undefined) throw foreignKey(keyPlace);
    const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
    const key = await webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), ALGORITHM, false, [
      "sign",
    ]);
    return new CertificateAuthority(certificate, key);
  }

  /** A certificate (PEM) for the key of an edge or a probe, which says what it is good for. Throws where `publicKey` is no P-256 key (SPKI, DER). */
  signEdge(edge: string, role: JoinRole, publicKey: Uint8Array, nowMs: number): Promise<string> {
    const subject = role === "probe" ? `CN=${edge}, OU=${PROBE_UNIT}` : `CN=${edge}`;
    return this.#sign({ name: edge, subject, usage: CLIENT }, publicKey, nowMs);
  }

  /** A new key and certificate for the listener. */
  async makeControl(nowMs: number): Promise<KeyPair> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const spki = await webcrypto.subtle.exportKey("spki", keys.publicKey);
    const certificate = await this.#sign(controlAs(SERVER), new Uint8Array(spki), nowMs);
    return { key: await pemOf(keys.privateKey), certificate };
  }

  /** A new key and certificate with which a control asks another. */
  async makePeer(nowMs: number): Promise<KeyPair> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const spki = await webcrypto.subtle.exportKey("spki", keys.publicKey);
    const certificate = await this.#sign(controlAs(CLIENT), new Uint8Array(spki), nowMs);
    return { key: await pemOf(keys.privateKey), certificate };
  }

  async #sign(
    { name, subject, usage }: Certified,
    spki: Uint8Array,
    nowMs: number,
  ): Promise<string> {
    const publicKey = await webcrypto.subtle.importKey(
      "spki",
      new Uint8Array(spki),
      ALGORITHM,
      true,
      ["verify"],
    );
    const made = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      issuer: this.#parsed.subject,
      subject,
      notBefore: new Date(nowMs - SKEW_MS),
      notAfter: new Date(nowMs + CERTIFICATE_MS),
      signingAlgorithm: ALGORITHM,
      publicKey,
      signingKey: this.#key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage], true),
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
      ],
    });
    return made.toString("pem");
  }
}

/** Whom a certificate is for, and to do what. */
interface Certified {
  readonly name: string;
  readonly subject: string;
  readonly usage: string;
}

function controlAs(usage: string): Certified {
  return { name: CONTROL_NAME, subject: `CN=${CONTROL_NAME}`, usage };
}

function textIn(raw: unknown, name: string): string {
  const text = member(raw, name);
  return typeof text === "string" ? text : "";
}

async function makeAuthority(nowMs: number): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Meridian ${randomBytes(4).toString("hex")}`,
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + AUTHORITY_YEARS * YEAR_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await pemOf(keys.privateKey), certificate: made.toString("pem") };
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return x509.PemConverter.encode(der, "PRIVATE KEY");
}

/** Random, and positive as DER has it. */
function serial(): string {
  return `4d${randomBytes(SERIAL_BYTES).toString("hex")}`;
}
