// SPDX-License-Identifier: Apache-2.0

// Secrets that this vantage probes with: in memory, and on disk as one file that is sealed to the key of its own certificate. When the
// certificate is renewed, the file is sealed anew: its key before is nowhere then.

import { createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { reasonOf } from "@meridian/core";
import { openSecrets, sealSecrets } from "@meridian/snapshot";
import { writeDurably } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";
import type { EdgeIdentity } from "../link/edge-identity.ts";

const FILE = "secrets.sealed";

export class SecretStore {
  /** Values by what plans call them. */
  values: ReadonlyMap<string, string> = new Map();
  readonly #path: string;
  readonly #identity: () => EdgeIdentity;
  readonly #logger: EdgeLogger;

  constructor(stateFolder: string, identity: () => EdgeIdentity, logger: EdgeLogger) {
    this.#path = join(stateFolder, FILE);
    this.#identity = identity;
    this.#logger = logger;
  }

  /** What is kept; it is given anew by control where it cannot be opened. */
  load(): void {
    if (!existsSync(this.#path)) return;
    try {
      const { edge, key } = this.#identity();
      const kept = openSecrets(edge, createPrivateKey(key), readFileSync(this.#path));
      if (kept !== undefined) this.values = kept;
      else this.#logger.warn("Passed over stored secrets that are sealed to another key", {});
    } catch (error) {
      this.#logger.warn("Cannot read the stored secrets", { reason: reasonOf(error) });
    }
  }

  /** Takes what a control has sealed to `identity`, which its connection has shown; false where nothing is new, undefined for foreign bytes. */
  take({ edge, key }: EdgeIdentity, sealed: Uint8Array): boolean | undefined {
    const given = openSecrets(edge, createPrivateKey(key), sealed);
    if (given === undefined) return undefined;
    // Another control may lack some: those that no plan names any more go with `keepOnly`.
    return this.#replace(new Map([...this.values, ...given]));
  }

  /** Forgets what is not needed. */
  keepOnly(names: ReadonlySet<string>): void {
    this.#replace(new Map([...this.values].filter(([name]) => names.has(name))));
  }

  /** Seals what is kept to the newest certificate. */
  reseal(): void {
    if (this.values.size === 0 && !existsSync(this.#path)) return;
    try {
      const { edge, key } = this.#identity();
      writeDurably(this.#path, sealSecrets(edge, createPublicKey(key), this.values));
    } catch (error) {
      this.#logger.error("Cannot keep secrets in the state folder", { reason: reasonOf(error) });
    }
  }

  #replace(values: ReadonlyMap<string, string>): boolean {
    if (isDeepStrictEqual(values, this.values)) return false;
    this.values = values;
    this.reseal();
    return true;
  }
}
