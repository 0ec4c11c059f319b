// SPDX-License-Identifier: Apache-2.0

// Secrets that this edge probes with, or signs zones with: in memory, and on disk as one file that is sealed to the key of its own certificate. When the
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

/** Where secrets of checks are, and what zones are signed with. */
export const PROBE_SECRETS_FILE = "secrets.sealed";
export const SIGNING_FILE = "signing.sealed";

export class SecretStore {
  /** Values by what plans call them. */
  values: ReadonlyMap<string, string> = new Map();
  readonly #path: string;
  /** What control has sent last, which it takes to be needed. */
  #given: ReadonlySet<string> = new Set();
  readonly #identity: () => EdgeIdentity;
  readonly #logger: EdgeLogger;

  constructor(
    stateFolder: string,
    identity: () => EdgeIdentity,
    logger: EdgeLogger,
    file: string = PROBE_SECRETS_FILE,
  ) {
    this.#path = join(stateFolder, file);
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
    this.#given = new Set(given.keys());
    // Another control may lack some: those that no plan names any more go with `keepOnly`.
    return this.#replace(new Map([...this.values, ...given]));
  }

  /** The same for what replaces all that is kept. */
  takeAll({ edge, key }: EdgeIdentity, sealed: Uint8Array): boolean | undefined {
    const given = openSecrets(edge, createPrivateKey(key), sealed);
    return given === undefined ? undefined : this.#replace(given);
  }

  /** Forgets what is neither needed nor was just sent: a zone that names it may come later. */
  keepOnly(names: ReadonlySet<string>): void {
    const kept = names.union(this.#given);
    this.#replace(new Map([...this.values].filter(([name]) => kept.has(name))));
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
