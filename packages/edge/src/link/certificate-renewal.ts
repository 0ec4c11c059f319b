// SPDX-License-Identifier: Apache-2.0

// Keeps an edge's certificate young: a new key and certificate when a third of its 24 hours is left, and as soon as control is there
// again where it was away for longer than that.

import { X509Certificate, generateKeyPairSync } from "node:crypto";
import { reasonOf } from "@meridian/core";
import { LinkPath } from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import { writeIdentity, type EdgeIdentity } from "./edge-identity.ts";
import { exchange } from "./exchange.ts";
import { answerIn } from "./join-control.ts";

const LOOK_MS = 60_000;
/** Time left at which a certificate is renewed. */
const RENEW_MS = 8 * 3_600_000;

export interface CertificateRenewalOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly identity: EdgeIdentity;
  readonly logger: EdgeLogger;
  readonly wallMs: () => number;
  /** There is another one; it is `identity` by now. */
  readonly onRenewed?: () => void;
}

export class CertificateRenewal {
  /** The newest. */
  identity: EdgeIdentity;
  readonly #options: CertificateRenewalOptions;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: CertificateRenewalOptions) {
    this.#options = options;
    this.identity = options.identity;
  }

  start(): void {
    void this.renewIfDue();
    this.#timer = setInterval(() => void this.renewIfDue(), LOOK_MS).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  /** Never rejects: what cannot be renewed now is tried again. */
  async renewIfDue(): Promise<void> {
    const { controls, stateFolder, logger, wallMs } = this.#options;
    const endsAtMs = Date.parse(new X509Certificate(this.identity.certificate).validTo);
    if (endsAtMs - wallMs() > RENEW_MS) return;
    for (const url of controls) {
      try {
        const renewed = await renew(url, this.identity);
        if (this.#isClosed) return;
        writeIdentity(stateFolder, renewed);
        this.identity = renewed;
        this.#options.onRenewed?.();
        logger.info("Renewed the certificate of this edge", { url });
        return;
      } catch (error) {
        logger.warn("Cannot renew the certificate of this edge", { url, reason: reasonOf(error) });
      }
    }
  }
}

async function renew(url: string, identity: EdgeIdentity): Promise<EdgeIdentity> {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = keys.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const { status, body } = await exchange(
    url,
    { kind: "edge", identity },
    { path: LinkPath.renew, body: JSON.stringify({ publicKey }) },
  );
  if (status !== 200) throw new Error(`control answers ${status}: ${body}`);
  const { certificate } = answerIn(body);
  const key = keys.privateKey.export({ format: "pem", type: "pkcs8" });
  return { ...identity, key, certificate };
}
