// SPDX-License-Identifier: Apache-2.0

// Secrets that documents name. Each namespace has a folder and variables of its own, and the namespace of Kubernetes that is called like it, so
// that no writer of documents can have control send somebody else's secret, or any other file of its machine, to a place of his choice.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
import type { SecretReference } from "@meridian/model";
import { KubernetesSecrets } from "./kubernetes-secrets.ts";

/** A kubeconfig with certificates has some thousand. */
const SECRET_BYTES_MAX = 65_536;

export class Secrets {
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #kubernetes: KubernetesSecrets;

  /** `folder` holds `NAMESPACE/NAME`. */
  constructor(
    folder: string,
    environment: Readonly<Record<string, string | undefined>>,
    kubernetes: KubernetesSecrets = new KubernetesSecrets(environment),
  ) {
    this.#folder = folder;
    this.#environment = environment;
    this.#kubernetes = kubernetes;
  }

  /** The text of a secret, without the line's end, read anew each time so that it can be changed. Throws NOTIFICATION_SECRET_MISSING. */
  async read(
    namespace: string,
    { file, env, kubernetesSecret: secret }: SecretReference,
  ): Promise<string> {
    if (file !== undefined) return this.#readFile(join(this.#folder, namespace, file));
    if (secret !== undefined) return this.#readKubernetes(namespace, secret.name, secret.key);
    const name = `MERIDIAN_SECRET_${namespace.toUpperCase().replaceAll("-", "_")}__${env ?? ""}`;
    const value = this.#environment[name];
    if (value === undefined || value === "") throw missing(`the variable ${name} is not set`);
    return value;
  }

  async #readKubernetes(namespace: string, name: string, key: string): Promise<string> {
    try {
      const bytes = await this.#kubernetes.read(namespace, name, key);
      return textOf(bytes, `"${key}" of the Secret "${name}"`);
    } catch (error) {
      if (error instanceof MeridianError) throw error;
      throw missing(reasonOf(error));
    }
  }

  async #readFile(path: string): Promise<string> {
    try {
      await using file = await open(path, "r");
      const { buffer, bytesRead } = await file.read(Buffer.alloc(SECRET_BYTES_MAX + 1));
      return textOf(buffer.subarray(0, bytesRead), `"${path}"`);
    } catch (error) {
      if (error instanceof MeridianError) throw error;
      throw missing(`"${path}": ${reasonOf(error)}`);
    }
  }
}

function textOf(bytes: Uint8Array, where: string): string {
  if (bytes.length > SECRET_BYTES_MAX)
    throw missing(`${where} is larger than ${SECRET_BYTES_MAX} bytes`);
  const text = new TextDecoder().decode(bytes).trim();
  if (text === "") throw missing(`${where} is empty`);
  return text;
}

function missing(reason: string): MeridianError {
  return new MeridianError(
    "NOTIFICATION_SECRET_MISSING",
    "user",
    `Cannot read the secret: ${reason}`,
  );
}
