// SPDX-License-Identifier: Apache-2.0

// Secrets that documents name. Each namespace has a folder and variables of its own, so that no writer of documents can have control send
// somebody else's secret, or any other file of its machine, to a place of his choice.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
import type { SecretReference } from "@meridian/model";

const SECRET_BYTES_MAX = 8192;

export class Secrets {
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  /** `folder` holds `NAMESPACE/NAME`. */
  constructor(folder: string, environment: Readonly<Record<string, string | undefined>>) {
    this.#folder = folder;
    this.#environment = environment;
  }

  /** The text of a secret, without the line's end, read anew each time so that it can be changed. Throws NOTIFICATION_SECRET_MISSING. */
  async read(namespace: string, { file, env }: SecretReference): Promise<string> {
    if (file !== undefined) return this.#readFile(join(this.#folder, namespace, file));
    const name = `MERIDIAN_SECRET_${namespace.toUpperCase().replaceAll("-", "_")}__${env ?? ""}`;
    const value = this.#environment[name];
    if (value === undefined || value === "") throw missing(`the variable ${name} is not set`);
    return value;
  }

  async #readFile(path: string): Promise<string> {
    try {
      await using file = await open(path, "r");
      const { buffer, bytesRead } = await file.read(Buffer.alloc(SECRET_BYTES_MAX + 1));
      if (bytesRead > SECRET_BYTES_MAX)
        throw missing(`"${path}" is larger than ${SECRET_BYTES_MAX} bytes`);
      const text = buffer.toString("utf8", 0, bytesRead).trim();
      if (text === "") throw missing(`"${path}" is empty`);
      return text;
    } catch (error) {
      if (error instanceof MeridianError) throw error;
      throw missing(`"${path}": ${reasonOf(error)}`);
    }
  }
}

function missing(reason: string): MeridianError {
  return new MeridianError(
    "NOTIFICATION_SECRET_MISSING",
    "user",
    `Cannot read the secret: ${reason}`,
  );
}
