// SPDX-License-Identifier: Apache-2.0

// Secrets that checks name, read where this control has them and looked at again now and then, so that one can be changed in place.

import { isDeepStrictEqual } from "node:util";
import { reasonOf } from "@meridian/core";
import type { Logger } from "../embedded-options.ts";
import { Secrets } from "./secrets.ts";

const LOOK_MS = 5000;

/** Where secrets lie: `NAMESPACE/NAME` in the folder, and variables. */
export interface SecretPlace {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What lies there; nothing does where no place is given. */
export function secretsAt(place: SecretPlace | undefined): Pick<Secrets, "read"> {
  if (place !== undefined) return new Secrets(place.folder, place.environment);
  return { read: () => Promise.reject(new Error("this process has no secrets")) };
}

export class ProbeSecrets {
  /** By reference; another object when one has changed. */
  values: ReadonlyMap<string, string> = new Map();
  readonly #secrets: Secrets;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  readonly #complaint: string;
  #wanted: ReadonlySet<string> = new Set();
  #missing = "";
  #timer: NodeJS.Timeout | undefined;

  /** `complaint` is said where one is not here. */
  constructor(
    { folder, environment }: SecretPlace,
    logger: Logger,
    onChange: () => void,
    complaint = "Does not probe what needs a secret that is not here",
  ) {
    this.#complaint = complaint;
    this.#secrets = new Secrets(folder, environment);
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** From now on these are needed. */
  want(references: ReadonlySet<string>): void {
    if (isDeepStrictEqual(references, this.#wanted)) return;
    this.#wanted = references;
    clearInterval(this.#timer);
    void this.#look();
    if (references.size > 0) this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const wanted = this.#wanted;
    const values = new Map<string, string>();
    const reasons: string[] = [];
    for (const reference of wanted) {
      try {
        values.set(reference, await this.#read(reference));
      } catch (error) {
        reasons.push(reasonOf(error));
      }
    }
    if (wanted !== this.#wanted) return;
    const missing = reasons.join("; ");
    if (missing !== "" && missing !== this.#missing)
      this.#logger.warn({ reason: missing }, this.#complaint);
    this.#missing = missing;
    if (isDeepStrictEqual(values, this.values)) return;
    this.values = values;
    this.#onChange();
  }

  #read(reference: string): Promise<string> {
    const [namespace = "", kind, name = "", key = ""] = reference.split("/");
    if (kind === "kubernetes")
      return this.#secrets.read(namespace, { kubernetesSecret: { name, key } });
    return this.#secrets.read(namespace, kind === "env" ? { env: name } : { file: name });
  }
}
